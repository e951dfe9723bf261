// Sheets of images whose cells can be picked: the cells of stylegen/viewer/grids.py.

const SIDE = 6;
const PSIS = [-1, -0.5, 0, 0.5, 0.7, 1];
const [MAP_SIDE, MAP_REACH] = [7, 1.5];

const cell = (still, change, name) => ({ still: { ...still, ...change }, change, name });
const cells = (side, make) => Array.from({ length: side * side }, (_, k) => make(Math.floor(k / side), k % side));

function seeds(still) {
  return cells(SIDE, (row, column) => {
    const seed = still.seed + SIDE * row + column;
    return cell(still, { seed, source: null, x: 0, y: 0 }, `seed ${seed}`);
  });
}

/** Rows are seeds, columns other seeds; without a selection of layers, the coarse half comes from the columns. */
function mixing(still, slots) {
  const mixed = still.mixed.length ? still.mixed : Array.from({ length: Math.floor(slots / 2) }, (_, k) => k);
  return cells(SIDE, (row, column) => {
    const [seed, other] = [still.seed + row, still.mix_seed + column];
    const change = { seed, mix_seed: other, source: null, mix_source: null, mixed };
    return cell(still, change, `seed ${seed} with styles of seed ${other}`);
  });
}

function truncation(still) {
  return cells(SIDE, (row, column) => {
    const [seed, psi] = [still.seed + row, PSIS[column]];
    return cell(still, { seed, source: null, psi }, `seed ${seed}, psi ${psi}`);
  });
}

/** kind -> (state, number of layers) -> {columns, cells, fields}. */
export const SHEETS = {
  grid: ({ still, grid }, slots) => ({
    columns: SIDE, cells: { seeds, mixing, truncation }[grid](still, slots), fields: { grid },
  }),
  map: ({ still }) => {
    const at = (k) => Math.round(1e4 * MAP_REACH * ((2 * k) / (MAP_SIDE - 1) - 1)) / 1e4;
    const place = (row, column) => cell(still, { x: at(column), y: at(row) }, `${at(column)}, ${at(row)}`);
    return { columns: MAP_SIDE, cells: cells(MAP_SIDE, place), fields: { reach: MAP_REACH } };
  },
  keyframes: ({ keyframes }) => ({
    columns: keyframes.length, cells: keyframes.map(({ seconds, still }) => cell(still, {}, `${seconds} s`)), fields: {},
  }),
};
