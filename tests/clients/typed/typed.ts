// Compiles only if known values, null and webhook payloads are typed.
import type { ActivityEvent, ActivityList, ActivitySearchRequest, EmailEvent, KnownActivityEvent } from "./types";

export const known: KnownActivityEvent = "delivered";
// @ts-expect-error Not a known value.
export const unknown: KnownActivityEvent = "arrived";

export const open: ActivityEvent[] = [known, "arrived"];
// @ts-expect-error Not a text.
export const number: ActivityEvent = 1;

export const search: ActivitySearchRequest = { event_types: ["delivered"] };
// A value that the service may have had since.
export const newer: ActivitySearchRequest = { event_types: ["arrived"] };
// @ts-expect-error Not a text.
export const wrongType: ActivitySearchRequest = { event_types: [1] };

export const lastPage: ActivityList["continue_token"] = null;
// @ts-expect-error Of a list that is not null.
export const noEvents: ActivityList["events"] = null;

export const event: EmailEvent = { event: "delivered", rcpt: "ana@example.net" };
export const recipient: string | undefined = event.rcpt;
// @ts-expect-error Not a text.
export const wrong: EmailEvent = { event: "delivered", rcpt: 1 };
