// Draw the charts. With `ast`, Vega interprets expressions, so the page's policy does not need to allow eval.
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
    place.innerHTML = place.nextElementSibling.textContent; // the static image of its noscript element
  });
}
