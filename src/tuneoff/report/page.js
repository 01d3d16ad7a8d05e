// Draw the charts. `ast` has Vega interpret its expressions, so that the page's policy needs no eval.
"use strict";

const specifications = JSON.parse(document.getElementById("charts").textContent);
const narrow = matchMedia("(max-width: 600px)");

for (const place of document.querySelectorAll("[data-chart]")) {
  const specification = specifications[place.dataset.chart];
  if (narrow.matches) {
    specification.config.legend.columns = 2;
  }
  vegaEmbed(place, specification, { renderer: "svg", ast: true, actions: false }).catch((error) => {
    console.error(error);
    place.innerHTML = place.nextElementSibling.textContent; // the still picture, from its noscript element
  });
}
