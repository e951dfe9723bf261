// Styles ws, Float32Array [L, D]: the formulas of stylegen/latent, for one image.

/** center + psi (w - center) in the first `cutoff` layers; null for all. */
export function truncate(ws, center, psi, cutoff) {
  if (psi === 1) return ws;
  const end = cutoff === null ? ws.length : Math.min(cutoff * center.length, ws.length);
  return ws.map((w, i) => (i < end ? center[i % center.length] + psi * (w - center[i % center.length]) : w));
}

/** The styles of `other` in `layers`. */
export function mix(ws, other, layers, width) {
  const mixed = ws.slice();
  for (const layer of layers) mixed.set(other.subarray(layer * width, (layer + 1) * width), layer * width);
  return mixed;
}

/** origin + x (right - origin) + y (down - origin). */
export function plane(origin, right, down, x, y) {
  return origin.map((o, i) => o + x * (right[i] - o) + y * (down[i] - o));
}

/** ws + strength * scale * direction in `layers`. */
export function move(ws, direction, step, layers) {
  const moved = ws.slice();
  for (const layer of layers) {
    direction.forEach((value, i) => { moved[layer * direction.length + i] += step * value; });
  }
  return moved;
}

/** A curve through `points` at `times`, as `cubic` of latent/interpolation.py; closed if it has one more time. */
export function cubic(points, times, t) {
  const closed = times.length > points.length;
  const all = closed ? [...points, points[0]] : points;
  const last = times.length - 1;
  let k = 0;
  while (k < last - 1 && t >= times[k + 1]) k++;
  const length = (i) => times[i + 1] - times[i];
  const slope = (i, d) => (all[i + 1][d] - all[i][d]) / length(i);
  const between = (i, j, d) => (length(j) * slope(i, d) + length(i) * slope(j, d)) / (length(i) + length(j));
  const velocity = (i, d) => {
    if (i > 0 && i < last) return between(i - 1, i, d);
    if (closed) return between(last - 1, 0, d);
    if (last === 1) return slope(0, d);
    return i === 0 ? 2 * slope(0, d) - between(0, 1, d) : 2 * slope(last - 1, d) - between(last - 2, last - 1, d);
  };
  const h = length(k);
  const u = (t - times[k]) / h;
  return all[k].map((p, d) => (
    (1 + 2 * u) * (1 - u) ** 2 * p + u ** 2 * (3 - 2 * u) * all[k + 1][d]
    + h * (u * (1 - u) ** 2 * velocity(k, d) - u ** 2 * (1 - u) * velocity(k + 1, d))
  ));
}

/** The times in frames of keyframes, and of the return to the first one, as in latent/timing.py. */
export function frameTimes(seconds, fps, loop) {
  const times = seconds.map((value) => value - seconds[0]);
  if (loop) times.push(times.at(-1) + times.at(-1) / (times.length - 1));
  const frames = times.map((value) => Math.round(value * fps));
  if (frames.some((value, i) => i > 0 && value <= frames[i - 1])) {
    throw new Error("Two keyframes have the same time: change the seconds of one.");
  }
  return frames;
}
