import type { components, webhooks } from "./schema";

type Schemas = components["schemas"];
export type ActivityEvent = Schemas["ActivityEvent"];
export type KnownActivityEvent = Schemas["KnownActivityEvent"];
export type ActivityList = Schemas["ActivityList"];
export type ActivitySearchRequest = Schemas["ActivitySearchRequest"];
export type EmailEvent = webhooks["email_event"]["post"]["requestBody"]["content"]["application/json"];
