// Sorts a table by the column whose heading is pressed. Without it, the page shows the same rows in their first order.
for (const table of document.querySelectorAll("table.sortable")) {
  const value = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.ariaSort = sign === 1 ? "ascending" : "descending";
      const compare = (one, two) => {
        const [a, b] = [value(one, column), value(two, column)];
        const [x, y] = [parseFloat(a), parseFloat(b)];
        if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1; // what has no number stays at the end
        return sign * (isNaN(x) ? a.localeCompare(b) : x - y);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}
