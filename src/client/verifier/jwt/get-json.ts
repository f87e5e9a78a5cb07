import { type IncomingMessage, get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { json } from "node:stream/consumers";
import type { TlsClientOptions } from "../../tls.ts";

/**
 * Gets the JSON at a URL, past any cache. Rejects for every status but 200: redirects are not followed. In place of `fetch`,
 * which cannot be told of a CA.
 */
export function getJson(url: string, signal: AbortSignal, tls: TlsClientOptions = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const options = { signal, headers: { accept: "application/json", "cache-control": "no-cache" } };
    const onResponse = (response: IncomingMessage) => {
      if (response.statusCode === 200) {
        json(response).then(resolve, reject);
      } else {
        response.resume();
        reject(new Error(`${url} answered ${response.statusCode}`));
      }
    };
    const request = url.startsWith("https:")
      ? getHttps(url, { ...options, ...tls }, onResponse)
      : getHttp(url, options, onResponse);
    request.once("error", reject);
  });
}
