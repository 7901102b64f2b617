// The slider of the report's samples: shows one card of the strip, at first the last one.

for (const growth of document.querySelectorAll(".growth")) {
  const cards = [...growth.querySelectorAll(".strip > li")];
  const titles = cards.map((card) => card.querySelector("h3").textContent);
  const label = document.createElement("label");
  const slider = document.createElement("input");
  const box = document.createElement("div");
  Object.assign(slider, { type: "range", min: 0, max: cards.length - 1, id: "training-progress" });
  slider.value = cards.length - 1;
  label.htmlFor = slider.id;
  label.textContent = "Progress of training";
  box.className = "slider";
  box.append(label, slider);
  const show = () => {
    cards.forEach((card, index) => (card.hidden = index !== Number(slider.value)));
    slider.setAttribute("aria-valuetext", titles[slider.value]);
  };
  slider.addEventListener("input", show);
  growth.classList.add("sliding");
  growth.querySelector(".strip").removeAttribute("tabindex"); // it no longer scrolls
  growth.prepend(box);
  show();
}
