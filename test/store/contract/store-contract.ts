import { describe } from "vitest";
import { batchContract } from "./batches.ts";
import { concurrencyContract } from "./concurrency.ts";
import { cutoffContract } from "./cutoffs.ts";
import { listContract } from "./lists.ts";
import { projectContract } from "./projects.ts";
import type { Replicas } from "./replicas.ts";
import { revocationListContract } from "./revocation-lists.ts";
import { revocationContract } from "./revocations.ts";
import { sessionContract } from "./sessions.ts";
import { sessionLimitContract } from "./session-limits.ts";
import { signingKeyContract } from "./signing-keys.ts";
import { tokenRotationContract } from "./token-rotation.ts";

/** The contract of every store, as documented by the interfaces of src/domain/store. */
export function storeContract(name: string, replicas: Replicas): void {
  describe(`${name} keeps the contract of the store`, () => {
    describe("sessions", () => {
      sessionContract(replicas);
    });
    describe("limits of sessions", () => {
      sessionLimitContract(replicas);
    });
    describe("tokens that replace each other", () => {
      tokenRotationContract(replicas);
    });
    describe("lists and counts", () => {
      listContract(replicas);
    });
    describe("revocations", () => {
      revocationContract(replicas);
    });
    describe("lists of revocations", () => {
      revocationListContract(replicas);
    });
    describe("cutoffs", () => {
      cutoffContract(replicas);
    });
    describe("batches", () => {
      batchContract(replicas);
    });
    describe("concurrency", () => {
      concurrencyContract(replicas);
    });
    describe("projects", () => {
      projectContract(replicas);
    });
    describe("signing keys", () => {
      signingKeyContract(replicas);
    });
  });
}
