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
  // The heat maps of destinations have the same time from left to right.
  var strips = Array.prototype.map.call(doc.querySelectorAll("svg.strip"), function (strip) {
    var rects = [0, 1].map(function () {
      var rect = doc.createElementNS("http://www.w3.org/2000/svg", "rect");
      rect.setAttribute("class", "outside");
      rect.setAttribute("y", 0);
      rect.setAttribute("height", strip.dataset.bottom);
      strip.appendChild(rect);
      return rect;
    });
    return { left: +strip.dataset.left, right: +strip.dataset.right, rects: rects };
  });
  var rows = doc.querySelectorAll("tr[data-first]");
  var x = function (ms) { return left + (ms - start) / (end - start) * (right - left); };
  var time = function (ms) { return new Date(ms).toISOString().slice(0, 19).replace("T", " "); };
  var number = function (n) { return n.toLocaleString("en-US"); };
  // What the columns that lie in the window hold together; durations of good requests are bounds of a histogram, which can be added.
  var sums = function () {
    var sum = { requests: 0, failed: 0, denied: 0, canceled: 0 }, counted = 0;
    var good = Object.create(null), flags = Object.create(null), packets = [0, 0, 0, 0];
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
      column.dataset.packets.split(" ").forEach(function (count, i) { packets[i] += +count; });
    });
    var parts = [];
    if (sum.requests) {
      parts.push(number(sum.requests) + " requests",
        number(sum.failed) + " failed (" + (100 * sum.failed / sum.requests).toFixed(1) + " %)");
    }
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
    if (sum.denied) { parts.push(number(sum.denied) + " denied"); }
    if (sum.canceled) { parts.push(number(sum.canceled) + " canceled"); }
    if (counted) { parts.push("good ones up to " + quantile(0.5) + " ms (p50), " + quantile(0.99) + " ms (p99)"); }
    var named = Object.keys(flags).sort(function (a, b) { return flags[b] - flags[a]; }).slice(0, 6);
    if (named.length) {
      parts.push("flags " + named.map(function (flag) { return flag + " " + number(flags[flag]); }).join(", "));
    }
    ["connections begun", "connections gone wrong", "packets with RST", "segments sent again"].forEach(function (name, i) {
      if (packets[i]) { parts.push(number(packets[i]) + " " + name); }
    });
    return parts.length ? ": " + parts.join(", ") : "";
  };
  // Sums of "COLUMN:FIRST.VALUE,VALUE" over the columns that lie in the window; a column without a number follows the one before.
  var width = +svg.dataset.column;
  var within = function (text) {
    var next = 0, sum = [];
    each(text ? text.split(" ") : [], function (part) {
      var colon = part.indexOf(":"), dot = part.indexOf(".");
      if (colon >= 0) { next = +part.slice(0, colon); }
      var at = start + next * width, place = dot >= 0 ? +part.slice(colon + 1, dot) : 0;
      next += 1;
      if (at > to || at + width <= from) { return; }
      part.slice(Math.max(colon, dot) + 1).split(",").forEach(function (value, i) {
        while (sum.length <= place + i) { sum.push(0); }
        sum[place + i] += +value;
      });
    });
    return sum;
  };
  var at0 = function (list, i) { return list[i] || 0; };
  var total = function (list) { return list.reduce(function (a, b) { return a + b; }, 0); };
  // The greatest duration of a doubling: 0, 1, 2, 4, 8 ms and so on.
  var bound = function (doubling) { return doubling ? Math.pow(2, doubling - 1) : 0; };
  var quantile = function (spread, share) {
    var wanted = Math.max(1, Math.ceil(total(spread) * share)), seen = 0, found = null;
    for (var i = 0; i < spread.length; i += 1) {
      seen += at0(spread, i);
      if (found === null && seen >= wanted) { found = bound(i); }
    }
    return found;
  };
  var percent = function (part, all) { return all ? (100 * part / all).toFixed(1) + " %" : "–"; };
  // A text of the page, or of the window; what the page said is kept.
  var put = function (node, text) {
    if (node.postmeshWhole === undefined) { node.postmeshWhole = node.textContent; }
    node.textContent = text === null ? node.postmeshWhole : text;
    node.classList.toggle("chosen", text !== null);
  };
  var setAttribute = function (node, name, value) {
    var key = "postmesh_" + name;
    if (node[key] === undefined) { node[key] = node.getAttribute(name); }
    if (value === null && node[key] === null) { node.removeAttribute(name); return; }
    node.setAttribute(name, value === null ? node[key] : value);
  };
  var counted = doc.querySelectorAll("tr[data-counts]"), spreads = doc.querySelectorAll("tr[data-spread]");
  var calls = doc.querySelectorAll("tr[data-calls]"), figures = doc.querySelectorAll("figure[data-ok]");
  // As the drawings shade: by the logarithm of the count beside that of the most.
  var weight = function (count, most) {
    if (!count || !most) { return 0; }
    var share = Math.log(1 + count) / Math.log(1 + most);
    return 1 + [0.35, 0.55, 0.75, 0.92].filter(function (least) { return share > least; }).length;
  };
  var matrix = function (whole) {
    var most = 0, sums = [];
    each(counted, function (row, i) {
      sums[i] = within(row.dataset.counts);
      sums[i].slice(4).forEach(function (count) { most = Math.max(most, count); });
    });
    each(counted, function (row, i) {
      var sum = sums[i], cells = row.children, all = at0(sum, 0), failed = at0(sum, 1);
      [number(all), number(failed), percent(failed, all), number(at0(sum, 2)), number(at0(sum, 3))].forEach(function (text, cell) {
        put(cells[2 + cell], whole ? null : text);
      });
      for (var cell = 7; cell < cells.length; cell += 1) {
        var count = at0(sum, cell - 3);
        setAttribute(cells[cell], "class", whole ? null : "n cell" + weight(count, most));
        put(cells[cell], whole ? null : count ? number(count) : "·");
      }
    });
  };
  var percentiles = function (whole) {
    each(spreads, function (row) {
      var spread = within(row.dataset.spread), cells = row.children, all = total(spread);
      put(cells[3], whole ? null : number(all));
      put(cells[4], whole ? null : "–");
      [0.5, 0.9, 0.95, 0.99, 0.999, 1].forEach(function (share, i) {
        var found = quantile(spread, share);
        put(cells[5 + i], whole ? null : found === null ? "–" : "≤ " + number(found));
      });
    });
  };
  // The histogram and the curve of a destination, drawn anew from what the window holds.
  var redraw = function (whole) {
    each(figures, function (figure) {
      var charts = figure.querySelectorAll("svg.small"), rows = [byId(figure.dataset.ok), byId(figure.dataset.bad)];
      var sums = rows.map(function (row) { return row ? within(row.dataset.spread) : []; });
      var of = function (node) { return sums[node.classList.contains("bad") || node.classList.contains("failed") ? 1 : 0]; };
      var peak = Math.max.apply(null, sums.map(function (sum) {
        var all = total(sum);
        return all ? Math.max.apply(null, sum) / all : 0;
      }));
      if (charts[0]) {
        each(charts[0].querySelectorAll("rect[data-doubling]"), function (bar) {
          var sum = of(bar), count = at0(sum, +bar.dataset.doubling), all = total(sum);
          var tall = count ? Math.max(1.5, count / all / peak * 92) : 0, title = bar.querySelector("title");
          setAttribute(bar, "height", whole ? null : tall);
          setAttribute(bar, "y", whole ? null : 108 - tall);
          put(title, whole ? null : "up to " + number(bound(+bar.dataset.doubling)) + " ms: " + number(count)
            + (sum === sums[1] ? " failed (" : " good (") + percent(count, all) + ")");
        });
      }
      if (charts[1]) {
        var most = +charts[1].dataset.top, shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999], drawn = [[], []];
        var up = function (ms) { return 108 - Math.log(1 + Math.min(ms, most)) / Math.log(1 + most) * 92; };
        each(charts[1].querySelectorAll("circle"), function (dot) {
          var points = drawn[of(dot) === sums[1] ? 1 : 0], found = quantile(of(dot), shares[points.length]);
          setAttribute(dot, "cy", whole ? null : up(found || 0));
          setAttribute(dot, "r", whole || found !== null ? null : 0);
          put(dot.querySelector("title"), whole ? null : "≤ " + number(found || 0) + " ms");
          points.push(dot.getAttribute("cx") + " " + up(found || 0));
        });
        each(charts[1].querySelectorAll("path.line"), function (line) {
          var points = drawn[line.classList.contains("failed") ? 1 : 0], empty = !total(of(line));
          setAttribute(line, "d", whole ? null : empty ? "M0 0" : "M" + points.join("L"));
        });
      }
    });
  };
  // Of a window the mean of each part, which sums give exactly; the bars by quantile are of the whole time.
  var spent = function (whole) {
    each(doc.querySelectorAll("svg[data-spent]"), function (drawing) {
      each(drawing.querySelectorAll("g.mean"), function (old) { drawing.removeChild(old); });
      each(drawing.children, function (bar) { setAttribute(bar, "class", whole ? null : "gone"); });
      if (whole) { return; }
      var sums = within(drawing.dataset.spent), classes = drawing.dataset.classes.split(" ");
      var titles = drawing.dataset.titles.split(" "), mean = doc.createElementNS(svg.namespaceURI, "g");
      var parts = titles.map(function (_, i) {
        return at0(sums, 2 * i) ? at0(sums, 2 * i + 1) / sums[2 * i] / 1000 : 0;
      });
      var all = total(parts), left = 70, requests = 0;
      var label = function (left, kind, text) {
        var node = doc.createElementNS(svg.namespaceURI, "text");
        node.setAttribute("class", kind);
        node.setAttribute("x", left);
        node.setAttribute("y", 15);
        node.textContent = text;
        mean.appendChild(node);
      };
      mean.setAttribute("class", "mean");
      label(left - 6, "scale", "mean");
      parts.forEach(function (ms, i) {
        requests = Math.max(requests, at0(sums, 2 * i));
        if (!ms) { return; }
        var rect = doc.createElementNS(svg.namespaceURI, "rect"), title = doc.createElementNS(svg.namespaceURI, "title");
        var wide = Math.max(1, ms / all * 620);
        rect.setAttribute("class", classes[i]);
        rect.setAttribute("x", left);
        rect.setAttribute("y", 2);
        rect.setAttribute("width", wide);
        rect.setAttribute("height", 18);
        title.textContent = titles[i] + " " + ms.toFixed(2) + " ms";
        rect.appendChild(title);
        mean.appendChild(rect);
        left += wide;
      });
      label(left + 6, "scale start", requests ? all.toFixed(2) + " ms, of " + number(requests) + " requests in the window"
        : "no request in the window");
      drawing.appendChild(mean);
    });
  };
  var topology = function (whole) {
    var most = 0;
    var sums = Array.prototype.map.call(calls, function (row) {
      var sum = within(row.dataset.calls);
      most = Math.max(most, at0(sum, 0));
      return sum;
    });
    each(calls, function (row, i) {
      var all = at0(sums[i], 0), failed = at0(sums[i], 1), cells = row.children;
      put(cells[2], whole ? null : number(all));
      put(cells[3], whole ? null : number(failed));
      put(cells[4], whole ? null : percent(failed, all));
      put(cells[5], whole ? null : "–");
      var says = cells[0].textContent + " → " + cells[1].textContent + ": " + number(all) + " requests, "
        + number(failed) + " failed (" + percent(failed, all) + ")";
      each(doc.querySelectorAll("[data-row=\"" + row.id + "\"]"), function (drawn) {
        if (drawn.tagName === "text") {
          put(drawn, whole ? null : failed ? percent(failed, all) + " failed" : "");
        } else {
          setAttribute(drawn, "class", whole ? null : "edge w" + weight(all, most) + (failed ? " failing" : ""));
          put(drawn.querySelector("title"), whole ? null : says);
        }
      });
    });
  };
  // Waits until the window is no longer moved: hundreds of rows are summed.
  var due = 0, wasWhole = true;
  var panels = function (whole) {
    if (whole && wasWhole) { return; }
    wasWhole = whole;
    clearTimeout(due);
    due = setTimeout(function () {
      [matrix, percentiles, redraw, spent, topology].forEach(function (panel) { panel(whole); });
      each(doc.querySelectorAll(".whole-time"), function (note) { note.hidden = whole; });
    }, 60);
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
    strips.forEach(function (strip) {
      var span = (strip.right - strip.left) / (end - start), cut = [(from - start) * span, (to - start) * span];
      strip.rects[0].setAttribute("x", strip.left);
      strip.rects[0].setAttribute("width", cut[0]);
      strip.rects[1].setAttribute("x", strip.left + cut[1]);
      strip.rects[1].setAttribute("width", Math.max(0, strip.right - strip.left - cut[1]));
    });
    var hidden = 0, whole = from <= start && to >= end;
    panels(whole);
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
