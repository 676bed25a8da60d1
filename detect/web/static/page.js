'use strict';
// Gives a clip to the API, waits for its verdict and shows it; then the player, the camera and the live picture.
const one = (selector, within = document) => within.querySelector(selector);
const form = one('#give'), input = one('#file'), folder = one('#frames'), judge = one('#judge'), note = one('#note'), preview = one('#preview');
const verdict = one('#verdict');
const kept = [...document.querySelectorAll('[data-case]')].map((node) => node.dataset.case);
const beside = form.elements.beside?.value;
let chosen = [], sending = null, turn = 0, goesOn = false;

const remove = (id) => fetch(`api/verdicts/${id}`, { method: 'DELETE', keepalive: true }).catch(() => {});
const forget = () => { while (kept.length && kept.at(-1) !== beside) remove(kept.pop()); };
const tell = (text) => { note.textContent = text; note.hidden = !text; };

const bringUp = () => { if (verdict.getBoundingClientRect().top > innerHeight / 2) verdict.scrollIntoView(); };
const show = (html) => {
  const found = new DOMParser().parseFromString(html, 'text/html').querySelector('#verdict');
  verdict.replaceChildren(...(found?.childNodes ?? []));
};
const say = (title, text) => {
  const section = document.createElement('section');
  section.className = 'verdict none';
  section.innerHTML = '<h2></h2><p class="soft"></p><progress max="1" hidden></progress>';
  Object.assign(one('h2', section), { textContent: title, hidden: !title });
  one('p', section).textContent = text;
  const stays = beside && one(`[data-case="${beside}"]`, verdict);
  const place = document.createElement('div');
  place.className = stays ? 'two' : 'one';
  place.append(...(stays ? [stays] : []), section);
  verdict.replaceChildren(place);
  return section;
};

// Says why files are not taken.
const refuse = (files) => {
  const { mostBytes, mostFiles } = form.dataset, bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (files.length > Number(mostFiles)) return `These are more than ${mostFiles} files. Give fewer frames: each second one, say.`;
  if (bytes <= Number(mostBytes)) return '';
  const most = `larger than ${mostBytes >> 20} MB`;
  return files.length > 1 ? `Together these files are ${most}. Give fewer, or save them smaller.` : `This file is ${most}. Cut it or save it smaller, and drop it again.`;
};

// A new clip, a file or several that are its frames, takes the old one's verdict away at once.
const choose = (given) => {
  const refusal = refuse(given), files = refusal ? [] : given;
  turn += 1;
  sending?.abort();
  forget();
  say('', files.length ? 'Press Judge, and the verdict will be here.' : 'The verdict will be here.');
  hold(files);
  tell(refusal);
};

// Holds files until they are judged, and shows the first that can be seen.
const hold = (files) => {
  chosen = files;
  judge.disabled = !files.length;
  URL.revokeObjectURL(preview.firstElementChild?.src ?? '');
  preview.hidden = !files.length;
  preview.replaceChildren();
  if (!files.length) {
    input.value = folder.value = '';
    return;
  }
  const file = files.find(({ type }) => /^(image|video)./.test(type)) ?? files[0];
  const shown = document.createElement(file.type.startsWith('image/') ? 'img' : 'video');
  Object.assign(shown, { src: URL.createObjectURL(file), controls: true, muted: true, alt: '' });
  const name = document.createElement('p'), away = document.createElement('button');
  Object.assign(away, { type: 'button', textContent: 'Remove', onclick: () => { choose([]); input.focus(); } });
  name.append(files.length > 1 ? `${nameOf(file)} and ${files.length - 1} more files` : file.name, ' ', away);
  preview.append(shown, name);
};

// A browser names the folders above a file only where a folder was chosen; of one that is dropped, see `within`.
const nameOf = (file) => file.place || file.webkitRelativePath || file.name;

const send = (files, progress) => new Promise((resolve, reject) => {
  sending = new XMLHttpRequest();
  sending.open('POST', `api/verdicts${form.getAttribute('action')}`);
  sending.responseType = 'json';
  sending.upload.onprogress = (event) => { progress.hidden = false; progress.value = event.loaded / event.total; };
  sending.onload = () => (sending.status < 300 ? resolve(sending.response) : reject(new Error(sending.response?.detail)));
  sending.onerror = () => reject(new Error('The page does not answer. Try again in a minute.'));
  const body = new FormData();
  for (const file of files) body.append('file', file, nameOf(file));
  body.append('fps', form.elements.fps.value);
  sending.send(body);
});

const give = async () => {
  const mine = turn, waits = say('Being judged', 'The clip is on its way.');
  judge.disabled = true;
  bringUp();
  try {
    let state = await send(chosen, one('progress', waits));
    if (mine !== turn) return remove(state.id);
    kept.push(state.id);
    one('progress', waits).removeAttribute('value');
    while (state.state !== 'judged') {
      one('p', waits).textContent = state.ahead ? `Clips before yours: ${state.ahead}.` : 'Finding faces and judging them.';
      const answer = await fetch(`api/verdicts/${state.id}?wait=5`);
      state = await answer.json();
      if (mine !== turn) return;
      if (!answer.ok) throw new Error(state.detail);
    }
    const page = await fetch(`verdicts/${state.id}${beside ? `?beside=${beside}` : ''}`);
    const html = await page.text();
    if (mine !== turn) return;
    show(html);
    hold([]);
  } catch (error) {
    if (mine !== turn) return;
    say('Not judged', error.message);
    judge.disabled = false;
  }
  bringUp();
};

for (const chooser of [input, folder]) chooser.addEventListener('change', () => choose([...chooser.files]));
for (const name of ['dragover', 'drop']) document.addEventListener(name, (event) => event.preventDefault());

// A folder that is dropped gives its files bit by bit.
const within = async (entry) => {
  const ask = (method, of) => new Promise((resolve, reject) => of[method](resolve, reject));
  if (entry.isFile) return [Object.assign(await ask('file', entry), { place: entry.fullPath.slice(1) })];
  const reader = entry.createReader(), files = [];
  for (let some = await ask('readEntries', reader); some.length; some = await ask('readEntries', reader)) {
    files.push(...(await Promise.all(some.map(within))).flat());
  }
  return files;
};
document.addEventListener('drop', async (event) => {
  const { items, files } = event.dataTransfer, entries = [...items].map((item) => item.webkitGetAsEntry?.());
  const dropped = entries.some((entry) => entry?.isDirectory) ? (await Promise.all(entries.map(within))).flat() : [...files];
  if (dropped.length) choose(dropped);
});
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const example = event.submitter?.name === 'example' && event.submitter.value;
  if (example) {
    const clip = await (await fetch(`examples/${example}`)).blob();
    choose([new File([clip], `${event.submitter.textContent}.${clip.type.split('/')[1]}`, { type: clip.type })]);
  }
  if (chosen.length) give();
});
judge.disabled = true;
form.noValidate = true; // a clip may come from the camera

// Whoever leaves takes clip and verdict along, unless another clip is to stand beside them.
document.addEventListener('click', (event) => { goesOn = Boolean(event.target.closest?.('[data-keeps]')); });
addEventListener('pagehide', () => { if (!goesOn) kept.forEach(remove); });
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

// The camera.
const film = one('#film');
film.hidden = !navigator.mediaDevices || !window.MediaRecorder;
film.addEventListener('click', async () => {
  if (film.recorder) return film.recorder.stop();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    const pieces = [], recorder = new MediaRecorder(stream), seen = document.createElement('video');
    choose([]);
    Object.assign(seen, { srcObject: stream, muted: true, autoplay: true, playsInline: true });
    preview.replaceChildren(seen);
    preview.hidden = false;
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      film.recorder = null;
      film.textContent = 'Film with the camera';
      const type = recorder.mimeType.split(';')[0];
      choose([new File(pieces, `camera.${type.split('/')[1]}`, { type })]);
    };
    recorder.start();
    film.recorder = recorder;
    film.textContent = 'Stop filming';
    setTimeout(() => film.recorder === recorder && recorder.stop(), 1000 * Number(form.dataset.mostSeconds) - 2000);
  } catch {
    tell('The camera cannot be used: it is in use elsewhere, or this page may not see it.');
  }
});

// The player and its timeline. They come with each verdict, so what listens is the document.
const barOf = (node) => node.closest?.('.bars button');
const barsBeside = (node) => [...node.closest('.timeline').querySelectorAll('.bars button')];

const play = (bar) => {
  const video = one('video', bar.closest('.timeline'));
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
  one(isHere ? '.unplayable' : '.gone', video.closest('.timeline')).hidden = false;
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

// The live picture. Who does not look at it asks for nothing.
const live = one('#live');
const look = async (seen) => {
  let number = seen;
  if (one('#tab-live').checked) {
    try {
      const latest = await (await fetch('live')).json();
      if (one('#words').innerHTML !== latest.words) one('#words').innerHTML = latest.words;
      if (latest.picture !== seen) {
        const picture = Object.assign(new Image(), { src: `live/picture?${latest.picture}`, alt: 'The live picture' });
        await picture.decode();
        const figure = one('figure', live);
        figure.className = 'live';
        figure.replaceChildren(picture);
        number = latest.picture;
      }
    } catch { /* the next look may succeed */ }
  }
  setTimeout(look, 1000 / Number(live.dataset.pictures), number);
};
if (live) look(0);
