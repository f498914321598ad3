// Pictures by ECharts: a histogram, a treemap, points. Each is drawn when its part of the page is shown, and again when
// the theme or the width changes.

const drawn = new Set();

function chart(height, label, options) {
  const box = el("div", { class: `chart ${height}`, role: "img", "aria-label": label });
  const picture = { box, options, chart: null, on: null };
  drawn.add(picture);
  return picture;
}

function draw(picture) {
  if (!picture.box.isConnected) { // another picture has come in its place
    if (picture.chart) picture.chart.dispose();
    drawn.delete(picture);
    return;
  }
  if (!picture.box.clientWidth) return;
  if (!picture.chart) {
    picture.chart = echarts.init(picture.box, null, { renderer: "canvas", devicePixelRatio: Math.max(2, window.devicePixelRatio) });
    if (picture.on) picture.on(picture.chart);
  }
  picture.chart.resize();
  picture.chart.setOption({ ...basis(), ...picture.options() }, true);
}
const drawAll = () => [...drawn].forEach(draw);
themeListeners.push(drawAll);
let resizeTimer = 0;
addEventListener("resize", () => { clearTimeout(resizeTimer); resizeTimer = setTimeout(drawAll, 120); });
addEventListener("beforeprint", () => { drawAll(); });

const font = () => getComputedStyle(document.body).fontFamily;

function basis() {
  return {
    animation: false,
    textStyle: { fontFamily: font(), color: colour("soft"), fontSize: 12 },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: colour("ink"), borderWidth: 0, padding: [7, 11],
      textStyle: { color: colour("paper"), fontFamily: font(), fontSize: 13 },
    },
  };
}

function axis(more) {
  return {
    axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false },
    axisLabel: { color: colour("soft"), hideOverlap: true }, ...more,
  };
}

/** Words that a chart's rich text would take for its own marks. */
const plain = (text) => text.replace(/[{}|]/g, " ");

function histogram(each) {
  const label = `Lengths of ${each.stage} ${each.column}: median ${each.median} characters`;
  const name = (place) => number(place * each.width);
  return chart("", label, () => ({
    grid: { left: 4, right: 4, top: 8, bottom: 4, containLabel: true },
    tooltip: { ...basis().tooltip, trigger: "axis", axisPointer: { type: "none" }, formatter: ([bar]) => {
      const last = bar.dataIndex === each.bins.length - 1 && each.longest >= (bar.dataIndex + 1) * each.width;
      const range = last ? `${name(bar.dataIndex)} and more` : `${name(bar.dataIndex)} to ${number((bar.dataIndex + 1) * each.width - 1)}`;
      return `${range} characters: ${plural(bar.value, "texts")}`;
    } },
    xAxis: axis({ type: "category", data: each.bins.map((_, place) => name(place)), axisLabel: { color: colour("soft"), interval: Math.max(0, Math.ceil(each.bins.length / 6) - 1), showMinLabel: true, alignMinLabel: "left" } }),
    yAxis: axis({ type: "value", minInterval: 1, splitNumber: 3, splitLine: { show: true, lineStyle: { color: colour("line") } } }),
    series: [{ type: "bar", data: each.bins, barCategoryGap: "12%", itemStyle: { color: colour("accent"), borderRadius: [2, 2, 0, 0] } }],
  }));
}

/** A colour between two of the page's, by a share from 0 to 1. */
function between(from, to, share) {
  const parse = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  const [start, end] = [parse(colour(from)), parse(colour(to))];
  const mixed = start.map((value, place) => Math.round(value + (end[place] - value) * Math.min(1, Math.max(0, share))));
  return { css: `rgb(${mixed.join(",")})`, dark: mixed[0] * 0.299 + mixed[1] * 0.587 + mixed[2] * 0.114 < 140 };
}
