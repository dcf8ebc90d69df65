#!/usr/bin/env node
// Runs the program beside this file. `os` and `cpu` in package.json would say less where it cannot run.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");
const path = require("node:path");

const platform = `${process.platform}-${process.arch}`;
if (platform !== "linux-x64") {
    console.error(
        `smtp2go-sandbox: no binary for ${platform} in the npm package, only for linux-x64: ` +
            "use Docker, or `cargo install smtp2go-sandbox`",
    );
    process.exit(1);
}

const program = path.join(__dirname, "smtp2go-sandbox");
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
    process.on(signal, () => child.kill(signal));
}
// A signal to npx ends only the shell between npx and this process.
const { ppid } = process;
if (process.env.npm_lifecycle_event === "npx") {
    setInterval(() => process.ppid === ppid || child.kill("SIGTERM"), 200).unref();
}
child.on("error", (error) => {
    console.error(`smtp2go-sandbox: ${error.message}`);
    process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + os.constants.signals[signal]));
