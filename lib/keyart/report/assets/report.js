// The wall: switch region, filter by genre, search by name. Pictures and figures come from the JSON in the page.
"use strict";

(() => {
  const source = document.getElementById("wall-data");
  const wall = document.getElementById("wall");
  if (!source || !wall) return;
  const data = JSON.parse(source.textContent);
  const cards = [...wall.querySelectorAll(".card")];
  const search = document.getElementById("search");
  const genre = document.getElementById("genre");
  const status = document.getElementById("status");
  const nothing = document.getElementById("nothing");
  const regions = [...document.querySelectorAll('input[name="region"]')];
  const start = status.textContent;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  const show = (card, region) => {
    const title = data.titles[card.dataset.key];
    const choice = title && title.by[region];
    if (!choice) return false;
    const [index, note, differs] = choice;
    const [file, alt] = title.pictures[index];
    const image = card.querySelector("img.picture");
    const address = `${data.images}/${file}`;
    if (image && file && image.getAttribute("src") !== address) {
      image.src = address;
      image.alt = alt;
      image.classList.remove("arrived");
      void image.offsetWidth; // lets the animation start anew
      image.classList.add("arrived");
    }
    card.classList.toggle("differs", differs);
    card.querySelector(".why").textContent = note;
    card.querySelector(".n").textContent = index + 1;
    return differs;
  };

  const chooseRegion = (region) => {
    const changed = cards.filter((card) => show(card, region)).length;
    status.textContent =
      region === "*" ? start : `${changed} of ${cards.length} titles show another picture in ${region}`;
  };

  const filter = () => {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    const wanted = genre ? genre.value : "";
    let shown = 0;
    for (const card of cards) {
      const name = plain(card.dataset.name);
      const fits = words.every((word) => name.includes(word));
      card.hidden = !fits || (wanted !== "" && !JSON.parse(card.dataset.genres).includes(wanted));
      shown += !card.hidden;
    }
    nothing.hidden = shown > 0;
  };

  for (const region of regions) region.addEventListener("change", () => chooseRegion(region.value));
  search.addEventListener("input", filter);
  if (genre) genre.addEventListener("change", filter);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  const chosen = regions.find((region) => region.checked);
  if (chosen) chooseRegion(chosen.value);
  filter();
})();
