// Stands in for Cloudflare Queues: delivers the messages of a request, and answers which were acknowledged.
export default {
  async fetch(request, env) {
    const messages = await request.json();
    const delivered = messages.map((message) => ({ ...message, timestamp: new Date(message.timestamp) }));
    return Response.json(await env.CONSUMER.queue("mails", delivered));
  },
};
