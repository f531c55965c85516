// What `scripts/hello` does, for workerd: one isolate that serves every request.

export default {
  async fetch(request) {
    const { name, times = 1 } = await request.json();
    return Response.json({ greeting: Array(times).fill(`Hello ${name}!`).join(" "), times });
  },
};
