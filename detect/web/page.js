() => {
  // Verdicts are announced to screen readers, and a file that is too large is refused before it is sent.
  const note = document.getElementById('too-large');
  document.querySelector('#verdict .html-container').setAttribute('aria-live', 'polite');
  const refuse = (event) => {
    const files = [...(event.target.files ?? event.dataTransfer?.files ?? [])];
    const tooLarge = files.some((file) => file.size > MOST_BYTES);
    if (files.length) note.hidden = !tooLarge;
    if (!tooLarge) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (event.target.files) event.target.value = '';
  };
  document.addEventListener('click', () => { note.hidden = true; });
  document.addEventListener('change', refuse, true);
  document.addEventListener('drop', refuse, true);

  // The player and its timeline. They come with each verdict, so what listens is the document.
  const barOf = (node) => node.closest?.('.bars button');
  const barsBeside = (node) => [...node.closest('.timeline').querySelectorAll('.bars button')];

  const play = (bar) => {
    const video = bar.closest('.timeline').querySelector('video');
    if (video.hidden) return;
    video.currentTime = Number(bar.dataset.start);
    video.play().catch(() => {}); // a browser may want a press on the player first; it stands at the right place then
  };

  const mark = (video) => {
    const bars = barsBeside(video);
    const playing = bars.findLast((bar) => Number(bar.dataset.start) <= video.currentTime + 0.05) ?? bars[0];
    for (const bar of bars) {
      if (bar === playing) bar.setAttribute('aria-current', 'true');
      else bar.removeAttribute('aria-current');
    }
  };

  const giveUp = async (video) => {
    if (video.hidden) return;
    video.hidden = true;
    const isHere = await fetch(video.src, { method: 'HEAD', cache: 'no-store' }).then((answer) => answer.ok, () => false);
    video.closest('.timeline').querySelector(isHere ? '.unplayable' : '.gone').hidden = false;
    for (const bar of barsBeside(video)) bar.setAttribute('aria-disabled', 'true');
  };

  const onVideo = (names, act) => {
    const heard = (event) => { if (event.target.matches?.('.timeline video')) act(event.target); };
    for (const name of names) document.addEventListener(name, heard, true); // these events do not bubble
  };
  onVideo(['play', 'seeking', 'timeupdate'], mark);
  onVideo(['error'], giveUp);
  onVideo(['loadedmetadata'], (video) => { if (!video.videoWidth) giveUp(video); }); // it plays the sound alone

  document.addEventListener('click', (event) => {
    const bar = barOf(event.target);
    if (bar) play(bar);
  });
  document.addEventListener('keydown', (event) => {
    const bar = barOf(event.target);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!bar || !step) return;
    const bars = barsBeside(bar);
    bars[bars.indexOf(bar) + step]?.focus();
    event.preventDefault();
  });
  document.addEventListener('focusin', (event) => {
    const bar = barOf(event.target);
    if (!bar) return;
    for (const other of barsBeside(bar)) other.tabIndex = other === bar ? 0 : -1; // Tab leaves the timeline
  });
}
