// What worker-build and wrangler generate around a Worker.
import * as worker from "./index.js";
import module from "./index_bg.wasm";

worker.initSync({ module });

export default {
  fetch: (request, env, context) => worker.fetch(request, env, context),
  queue: (batch, env, context) => worker.queue(batch, env, context),
};
