// The service of Restate in peers.py: returns its input. `node restate.mjs PORT`
import * as restate from "@restatedev/restate-sdk";

const echo = restate.service({ name: "echo", handlers: { echo: async (_, input) => input } });
restate.serve({ services: [echo], port: Number(process.argv[2]) });
