"use strict";
(function () {
  var doc = document, root = doc.documentElement;
  var byId = function (id) { return doc.getElementById(id); };
  var each = function (list, what) { Array.prototype.forEach.call(list, what); };

  // What needs a script is shown only where there is one.
  byId("tools").hidden = false;
  byId("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  var opened = false, before = [];
  var openAll = function (open) {
    each(doc.querySelectorAll("details"), function (one) { one.open = open; });
  };
  byId("open-all").addEventListener("click", function () {
    opened = !opened;
    openAll(opened);
    byId("open-all").textContent = opened ? "Close all" : "Open all";
  });
  // On paper nothing can be opened.
  addEventListener("beforeprint", function () {
    before = [];
    each(doc.querySelectorAll("details"), function (one) {
      before.push(one.open);
      one.open = one.open || !one.closest("td") && !one.classList.contains("data");
    });
  });
  addEventListener("afterprint", function () {
    each(doc.querySelectorAll("details"), function (one, i) { one.open = !!before[i]; });
  });

  var svg = byId("time"), brush = byId("brush");
  if (!svg || !brush) { return; }
  var start = +svg.dataset.start, end = +svg.dataset.end;
  var left = +svg.dataset.left, right = +svg.dataset.right, bottom = +svg.dataset.bottom;
  if (!(end > start)) { return; }
  brush.hidden = false;
  var from = start, to = end;
  var step = Math.max(1, Math.round((end - start) / 200));
  var slider = function (name, value) {
    var label = doc.createElement("label"), input = doc.createElement("input");
    label.textContent = name + " ";
    input.type = "range";
    input.min = start; input.max = end; input.step = step; input.value = value;
    label.appendChild(input);
    brush.appendChild(label);
    return input;
  };
  var first = slider("from", start), last = slider("until", end);
  var all = doc.createElement("button");
  all.type = "button";
  all.textContent = "All";
  brush.appendChild(all);
  var says = doc.createElement("p");
  says.className = "note";
  says.setAttribute("role", "status");
  brush.appendChild(says);
  var shade = function () {
    var rect = doc.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("class", "outside");
    rect.setAttribute("y", 0);
    rect.setAttribute("height", bottom);
    svg.appendChild(rect);
    return rect;
  };
  var shades = [shade(), shade()];
  var rows = doc.querySelectorAll("tr[data-first]");
  var x = function (ms) { return left + (ms - start) / (end - start) * (right - left); };
  var time = function (ms) { return new Date(ms).toISOString().slice(0, 19).replace("T", " "); };
  var number = function (n) { return n.toLocaleString("en-US"); };
  // What the columns that lie in the window hold together; durations of good requests are bounds of a histogram, which can be added.
  var sums = function () {
    var width = +svg.dataset.column, sum = { requests: 0, failed: 0, denied: 0 }, counted = 0;
    var good = Object.create(null), flags = Object.create(null);
    var add = function (to, text) {
      each(text ? text.split(" ") : [], function (part) {
        var cut = part.lastIndexOf(":"), name = part.slice(0, cut);
        to[name] = (to[name] || 0) + +part.slice(cut + 1);
      });
    };
    each(svg.querySelectorAll("rect[data-at]"), function (column) {
      var at = +column.dataset.at;
      if (at > to || at + width <= from) { return; }
      Object.keys(sum).forEach(function (name) { sum[name] += +column.dataset[name]; });
      add(good, column.dataset.good);
      add(flags, column.dataset.flags);
    });
    if (!sum.requests) { return ""; }
    var bounds = Object.keys(good).map(Number).sort(function (a, b) { return a - b; });
    bounds.forEach(function (bound) { counted += good[bound]; });
    var quantile = function (share) {
      var seen = 0, found = null;
      bounds.forEach(function (bound) {
        seen += good[bound];
        if (found === null && seen >= counted * share) { found = bound; }
      });
      return number(found);
    };
    var parts = [number(sum.requests) + " requests",
      number(sum.failed) + " failed (" + (100 * sum.failed / sum.requests).toFixed(1) + " %)"];
    if (sum.denied) { parts.push(number(sum.denied) + " denied"); }
    if (counted) { parts.push("good ones up to " + quantile(0.5) + " ms (p50), " + quantile(0.99) + " ms (p99)"); }
    var named = Object.keys(flags).sort(function (a, b) { return flags[b] - flags[a]; }).slice(0, 6);
    if (named.length) {
      parts.push("flags " + named.map(function (flag) { return flag + " " + number(flags[flag]); }).join(", "));
    }
    return ": " + parts.join(", ");
  };
  var show = function () {
    from = Math.max(start, Math.min(from, end));
    to = Math.max(from, Math.min(to, end));
    first.value = from;
    last.value = to;
    shades[0].setAttribute("x", left);
    shades[0].setAttribute("width", x(from) - left);
    shades[1].setAttribute("x", x(to));
    shades[1].setAttribute("width", right - x(to));
    var hidden = 0, whole = from <= start && to >= end;
    each(rows, function (row) {
      var out = !whole && (+row.dataset.last < from || +row.dataset.first > to);
      row.classList.toggle("out", out);
      hidden += out ? 1 : 0;
    });
    says.textContent = (whole ? "All of the time" : time(from) + " – " + time(to) + " UTC") + sums()
      + (whole ? "." : "; " + hidden + " rows of lists are outside and hidden.");
  };
  first.addEventListener("input", function () { from = +first.value; to = Math.max(from, to); show(); });
  last.addEventListener("input", function () { to = +last.value; from = Math.min(from, to); show(); });
  all.addEventListener("click", function () { from = start; to = end; show(); });
  addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    var way = event.key === "[" ? -1 : event.key === "]" ? 1 : 0;
    if (!way) { return; }
    var width = to - from;
    if (width >= end - start) { width = (end - start) / 4; from = start; to = from + width; }
    else {
      var by = way * width / 2;
      from = Math.max(start, Math.min(from + by, end - width));
      to = from + width;
    }
    show();
  });
  var at = function (event) {
    var box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    var place = (event.clientX - box.left) / box.width * view.width;
    return start + Math.max(0, Math.min(1, (place - left) / (right - left))) * (end - start);
  };
  var held = null;
  svg.addEventListener("pointerdown", function (event) {
    if (event.button !== 0) { return; }
    held = at(event);
    event.preventDefault();
  });
  addEventListener("pointermove", function (event) {
    if (held === null) { return; }
    var now = at(event);
    from = Math.min(held, now);
    to = Math.max(held, now);
    show();
  });
  addEventListener("pointerup", function () {
    if (held === null) { return; }
    held = null;
    if (to - from < (end - start) / 200) { from = start; to = end; }
    show();
  });
  show();
})();
