// What `scripts/hello` does, as a typed script in JavaScript: a component of its world, made with componentize-qjs or
// componentize-js.

export function main(name, times) {
  times ??= 1;
  if (times > 100) {
    throw `${times} times is too often; 100 is the most`;
  }
  return { greeting: Array(times).fill(`Hello ${name}!`).join(" "), times };
}
