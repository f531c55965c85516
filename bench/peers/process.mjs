// What `scripts/hello` does, as a program that runs once for each call: for bun and deno. Arguments come on standard input.

const text = typeof Bun === "undefined" ? await new Response(Deno.stdin.readable).text() : await Bun.stdin.text();
const { name, times = 1 } = JSON.parse(text);
console.log(JSON.stringify({ greeting: Array(times).fill(`Hello ${name}!`).join(" "), times }));
