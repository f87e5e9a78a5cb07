import { get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { givenVariables } from "../server/config/environment.ts";

/**
 * Liveness probe for containers: runs in the environment of a service and exits 0 if it is alive, or else 1. It does not check
 * health, because container engines restart what fails, and a restart would not bring a database back.
 */
const { SESSIOND_LISTEN: listen = "", SESSIOND_TLS_CERT_FILE: certFile = "" } = givenVariables(process.env);
const [, host = "", port = "8080"] = /^(.*):(\d+)$/.exec(listen) ?? [];
const isWildcard = ["", "0.0.0.0", "[::]"].includes(host);
const options = {
  host: isWildcard ? "127.0.0.1" : host.replace(/^\[(.*)\]$/, "$1"),
  port,
  path: "/livez",
  timeout: 2_000,
  // The certificate is not issued for this address.
  rejectUnauthorized: false,
};
const request = (certFile === "" ? getHttp : getHttps)(options, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on("timeout", () => request.destroy(new Error("no answer in time")));
request.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
