// The random numbers of seeds, as in stylegen/randomness/philox.py, and NumPy's for networks of other programs.

/** Upper 32 bits of a product of two uint32. */
function mulHigh(a, b) {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const [low, left, right] = [al * bl, ah * bl, al * bh];
  const middle = (low >>> 16) + (left & 0xffff) + (right & 0xffff);
  return (ah * bh + (left >>> 16) + (right >>> 16) + (middle >>> 16)) >>> 0;
}

/** Philox4x32-10: `count` words of an index below 2^53, for a key of two words. */
export function words([key0, key1], index, count) {
  const found = new Uint32Array(4 * Math.ceil(count / 4));
  const [low, high] = [index % 2 ** 32, Math.floor(index / 2 ** 32)];
  for (let block = 0; 4 * block < count; block++) {
    let [c0, c1, c2, c3, k0, k1] = [low, high, block, 0, key0, key1];
    for (let round = 0; round < 10; round++) {
      const [high0, high1] = [mulHigh(c0, 0xd2511f53), mulHigh(c2, 0xcd9e8d57)];
      const [low0, low1] = [Math.imul(c0, 0xd2511f53) >>> 0, Math.imul(c2, 0xcd9e8d57) >>> 0];
      [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
      k0 = (k0 + 0x9e3779b9) >>> 0;
      k1 = (k1 + 0xbb67ae85) >>> 0;
    }
    found.set([c0, c1, c2, c3], 4 * block);
  }
  return found.subarray(0, count);
}

/** Standard normal numbers by the Box-Muller transform: number i is a cosine, number `pairs` + i the sine. */
export function normals(key, index, size) {
  const pairs = Math.ceil(size / 2);
  const random = words(key, index, 2 * pairs);
  const values = new Float32Array(2 * pairs);
  for (let i = 0; i < pairs; i++) {
    const radius = Math.sqrt(-2 * Math.log((random[i] + 0.5) * 2 ** -32));
    const angle = 2 * Math.PI * ((random[pairs + i] + 0.5) * 2 ** -32);
    values[i] = radius * Math.cos(angle);
    values[pairs + i] = radius * Math.sin(angle);
  }
  return values.subarray(0, size);
}

/** An integer in [0, high). */
export function integer(key, index, high) {
  return mulHigh(words(key, index, 1)[0], high);
}

/** numpy.random.RandomState(seed).randn(size): the Mersenne Twister and Marsaglia's polar method. */
export function numpyNormals(seed, size) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let position = 624;
  const word = () => {
    if (position === 624) {
      position = 0;
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
    }
    let y = state[position++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  const uniform = () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53;
  const values = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    let [x, y, square] = [0, 0, 0];
    do {
      [x, y] = [2 * uniform() - 1, 2 * uniform() - 1];
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    values[i] = factor * y;
    if (i + 1 < size) values[i + 1] = factor * x;
  }
  return values;
}
