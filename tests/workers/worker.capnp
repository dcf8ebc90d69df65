# Runs one of the Workers in workerd, without wrangler. Fetches reach loopback only.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "deliver", worker = .deliver),
    (name = "internet", network = (allow = ["local"])),
    # Stand-ins for KV and Queues. The test gives the address.
    (name = "stand-in", external = (address = "127.0.0.1:1", http = ())),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (), service = "main"),
    (name = "deliver", address = "127.0.0.1:0", http = (), service = "deliver"),
  ],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "index.js", esModule = embed "index.js"),
    (name = "inline0.js", esModule = embed "inline0.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  bindings = [
    (name = "SMTP2GO_API_KEY", fromEnvironment = "SMTP2GO_API_KEY"),
    (name = "SMTP2GO_BASE_URL", fromEnvironment = "SMTP2GO_BASE_URL"),
    (name = "SITE_ADDRESS", fromEnvironment = "SITE_ADDRESS"),
    (name = "WEBHOOK_TOKEN", fromEnvironment = "WEBHOOK_TOKEN"),
    (name = "NO_MAIL", kvNamespace = "stand-in"),
    (name = "MAILS", queue = "stand-in"),
  ],
  compatibilityDate = "2026-11-01",
);

const deliver :Workerd.Worker = (
  modules = [(name = "queue.mjs", esModule = embed "queue.mjs")],
  bindings = [(name = "CONSUMER", service = "main")],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["service_binding_extra_handlers"],
);
