export type { ActivityEvent, KnownActivityEvent, ActivityList, ActivitySearchRequest } from "./smtp2go";
export type { WebhookEmailEventWebhookPayload as EmailEvent } from "./smtp2go";
