//! Tests of the first stage: each kind of broken spec is refused, with a place, a message and a remedy.

use xtask::Problems;
use xtask::load;

use crate::fixture;

/// `(anchor, from, to)`: the first `from` at or after the only `anchor` in the fixture becomes `to`.
/// An anchor that opens with spaces opens a line.
type Edit = (&'static str, &'static str, &'static str);

/// What is broken, the edit that breaks it, the JSON pointer to it, and parts of the message and of
/// the remedy.
type Row = (
    &'static str,
    &'static [Edit],
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // References
    ("a reference to a missing component", &[("    ParcelSendResponse:", "schemas/ParcelSent'", "schemas/Nothing'")],
     "/components/schemas/ParcelSendResponse/properties/data",
     "`$ref: #/components/schemas/Nothing` does not exist", "correct the reference"),
    ("a schema that refers to something other than a component",
     &[("    ParcelSendResponse:", "#/components/schemas/ParcelSent", "#/info")],
     "/components/schemas/ParcelSendResponse/properties/data",
     "`$ref: #/info` is not a component", "refer to one with"),
    ("a reference with a sibling",
     &[("    ParcelSendResponse:", "$ref: '#/components/schemas/ParcelSent'",
        "$ref: '#/components/schemas/ParcelSent'\n          description: Ignored.")],
     "/components/schemas/ParcelSendResponse/properties/data",
     "siblings of `$ref` are ignored", "put the `$ref` into `allOf`"),
    // Operations
    ("an operationId that occurs twice", &[("operationId: parcel_search", "parcel_search", "parcel_send")],
     "/paths/~1parcel~1search/post/operationId",
     "is also that of #/paths/~1parcel~1send/post", "give each operation its own"),
    ("an operationId that does not begin with its group",
     &[("operationId: parcel_send", "parcel_send", "send_parcel")],
     "/paths/~1parcel~1send/post/operationId",
     "the operationId `send_parcel` is malformed", "write `<group>_<action>`"),
    ("an action that is not an identifier", &[("operationId: parcel_send", "parcel_send", "parcel_2")],
     "/paths/~1parcel~1send/post/operationId",
     "the operationId `parcel_2` is malformed", "snake_case"),
    ("an operationId that is not in snake case",
     &[("operationId: parcel_send", "parcel_send", "parcel_sendIt")],
     "/paths/~1parcel~1send/post/operationId",
     "the operationId `parcel_sendIt` is malformed", "snake_case"),
    ("no operationId", &[("operationId: parcel_send", "operationId: parcel_send\n      ", "")],
     "/paths/~1parcel~1send/post",
     "there is no operationId", "add `<group>_<action>`"),
    ("a tag that the root does not describe", &[("operationId: parcel_send", "[parcel]", "[letter]")],
     "/paths/~1parcel~1send/post/tags",
     "exactly one tag", "name its API group"),
    ("two tags", &[("operationId: parcel_send", "[parcel]", "[parcel, depot]")],
     "/paths/~1parcel~1send/post/tags",
     "exactly one tag", "name its API group"),
    ("a tag that occurs twice",
     &[("  - name: depot", "  - name", "  - {name: parcel, description: Again.}\n  - name")],
     "/tags/1",
     "`parcel`", "snake_case"),
    ("a tag that is not a valid name",
     &[("  - name: depot", "  - name", "  - {name: Big depot, description: Big.}\n  - name")],
     "/tags/1",
     "`Big depot`", "snake_case"),
    ("a tag with the name of another generated file",
     &[("  - name: depot", "  - name", "  - {name: shared, description: Shared.}\n  - name")],
     "/tags/1",
     "`shared`", "names of modules and of the client's methods are reserved"),
    ("a tag without a description",
     &[("  - name: depot", "    description: Places that parcels pass through.\n", "")],
     "/tags/1",
     "the API group has no description", "add a `description`"),
    ("an operation without a summary",
     &[("operationId: parcel_search", "      summary: Search parcels\n", "")],
     "/paths/~1parcel~1search/post",
     "the operation has no summary", "in one line"),
    ("an operation without a description",
     &[("summary: Search parcels", "      description: Lists parcels, newest first.\n", "")],
     "/paths/~1parcel~1search/post",
     "the operation has no description", "add a `description`"),
    ("parameters", &[("operationId: parcel_send", "parcel_send", "parcel_send\n      parameters: []")],
     "/paths/~1parcel~1send/post/parameters",
     "parameters are not supported", "in their body"),
    ("a path with a parameter", &[("  /depot/ping:", "/depot/ping", "'/depot/{id}'")],
     "/paths/~1depot~1{id}",
     "has parameters", "in their body"),
    ("a path without a slash", &[("  /depot/ping:", "/depot/ping", "depot/ping")],
     "/paths/depot~1ping",
     "does not start with `/`", "in their body"),
    ("a key of a path that is not a method", &[("  /depot/ping:", "post:", "summary: Ping\n    post:")],
     "/paths/~1depot~1ping/summary",
     "`summary` is not supported", "keep only operations"),
    ("no 200", &[("summary: Change a depot", "'200'", "'201'")],
     "/paths/~1depot~1view/patch/responses",
     "there is no 200 response", "add the response"),
    ("two error schemas",
     &[("    Broken:", "description: The service failed.",
        "description: The service failed.\n      content: {application/json: {schema: {type: string}}}")],
     "/paths/~1parcel~1send/post/responses",
     "the errors 400 and 500 have different schemas", "use one error schema"),
    ("a request that is not a component",
     &[("operationId: parcel_move", "$ref: '#/components/schemas/ParcelMoveRequest'", "type: object")],
     "/paths/~1parcel~1move/post/requestBody/content/application~1json/schema",
     "the body is not a component", "refer to one"),
    ("a reply that is not an object", &[("operationId: depot_ping", "DepotPingResponse", "ParcelSize")],
     "/paths/~1depot~1ping/post/responses/200/content/application~1json/schema",
     "the body is not a component of type `object`", "refer to one"),
    ("a reply that is an object without properties",
     &[("operationId: depot_ping", "DepotPingResponse", "Anything"),
       ("    # depot", "# depot", "Anything:\n      type: object\n      description: Anything.")],
     "/paths/~1depot~1ping/post/responses/200/content/application~1json/schema",
     "an object without properties", "leave `content` out of a 200"),
    ("a 200 that is a schema", &[("operationId: depot_ping", "'200':", "'200':\n          $ref: '#/components/schemas/DepotPingResponse'\n        '299':")],
     "/paths/~1depot~1ping/post/responses/200",
     "expected a response with a description", "put the schema into `content`"),
    ("a request without an example", &[("operationId: depot_all", "            example: {}\n", "")],
     "/paths/~1depot~1all/post/requestBody/content/application~1json",
     "there is no example", "add `example`"),
    ("a reply without an example", &[("operationId: depot_ping", "example:", "x-example:")],
     "/paths/~1depot~1ping/post/responses/200/content/application~1json",
     "there is no example", "add `example`"),
    ("a request with only named examples",
     &[("operationId: depot_all", "            example: {}", "            examples: {all: {value: {}}}")],
     "/paths/~1depot~1all/post/requestBody/content/application~1json",
     "there is no example", "add `example`"),
    ("a request field with the name of a method",
     &[("    ParcelSendRequest:", "        sender:", "        validate: {type: boolean, description: Whether.}\n        sender:")],
     "/components/schemas/ParcelSendRequest/properties/validate",
     "a request can't have a field `validate`", "rename the method"),
    ("a webhook without a description",
     &[("summary: Receive an event", "description: The service posts this when something happens to a parcel.",
        "description: ''")],
     "/x-webhooks/parcel_event/post",
     "the webhook has no description", "add a `description`"),
    ("a webhook with a tag that the root does not describe",
     &[("operationId: webhook_parcel_event", "[parcel]", "[../up]")],
     "/x-webhooks/parcel_event/post/tags",
     "exactly one tag", "name its API group"),
    // Examples
    ("a request example that its schema refuses", &[("operationId: parcel_search", "limit: 10", "limit: 0")],
     "/paths/~1parcel~1search/post/requestBody/content/application~1json/example/limit",
     "the schema refuses this example: 0 is less than the minimum of 1", "correct the example or the schema"),
    ("a request example with a field that is unknown",
     &[("operationId: parcel_search", "limit: 10", "limits: 10")],
     "/paths/~1parcel~1search/post/requestBody/content/application~1json/example",
     "'limits' was unexpected", "correct the example or the schema"),
    ("a request example with an unlisted value",
     &[("operationId: parcel_search", "[moving]", "[in-transit]")],
     "/paths/~1parcel~1search/post/requestBody/content/application~1json/example/states/0",
     "\"in-transit\" is not one of", "correct the example or the schema"),
    ("a reply example that its schema refuses", &[("operationId: depot_ping", "pong: true", "pong: maybe")],
     "/paths/~1depot~1ping/post/responses/200/content/application~1json/example/pong",
     "\"maybe\" is not of type \"boolean\"", "correct the example or the schema"),
    ("an error example that its schema refuses", &[("    Refused:", "There is no such depot.", "404")],
     "/components/responses/Refused/content/application~1json/example/error",
     "404 is not of type \"string\"", "correct the example or the schema"),
    ("a webhook example that its schema refuses",
     &[("operationId: webhook_parcel_event", "id: e-1", "id: 1")],
     "/x-webhooks/parcel_event/post/requestBody/content/application~1json/examples/delivered/value/id",
     "1 is not of type \"string\"", "correct the example or the schema"),
    ("a property example that its schema refuses",
     &[("description: In degrees.", "In degrees.", "In degrees.\n          example: 45")],
     "/components/schemas/ParcelSendRequest/properties/rotation/example",
     "45 is not one of", "correct the example or the schema"),
    ("a default that its schema refuses", &[("        copies:", "default: 1", "default: 10")],
     "/components/schemas/ParcelSendRequest/properties/copies/default",
     "10 is greater than the maximum of 9", "correct the example or the schema"),
    // Schemas
    ("nullable without a type",
     &[("    DepotAllResponse:", "$ref: '#/components/schemas/DepotCount'",
        "nullable: true\n          allOf:\n            - $ref: '#/components/schemas/DepotCount'\n          description: Null.")],
     "/components/schemas/DepotAllResponse/properties/data/nullable",
     "`nullable` has no effect without a `type`", "add the type"),
    ("a pattern", &[("        sender:", "minLength: 1", "pattern: '^A'")],
     "/components/schemas/ParcelSendRequest/properties/sender/pattern",
     "the keyword `pattern` is not supported", "in the description"),
    ("anyOf", &[("        weight:\n          oneOf:", "oneOf", "anyOf")],
     "/components/schemas/Parcel/properties/weight/anyOf",
     "the keyword `anyOf` is not supported", "in the description"),
    ("oneOf with an object", &[("        weight:\n          oneOf:", "- type: string", "- type: object")],
     "/components/schemas/Parcel/properties/weight/oneOf",
     "this form of `oneOf` is not supported", "plain types only"),
    ("allOf with two parts",
     &[("        largest:", "- $ref: '#/components/schemas/ParcelSize'",
        "- $ref: '#/components/schemas/ParcelSize'\n            - $ref: '#/components/schemas/RequestId'")],
     "/components/schemas/DepotPatchRequest/properties/largest/allOf",
     "this form of `allOf` is not supported", "`allOf` with one `$ref`"),
    ("an unknown type", &[("        labels:", "type: string", "type: text")],
     "/components/schemas/ParcelSendRequest/properties/labels/additionalProperties/type",
     "`text` is not a type", "use string"),
    ("an object without a name",
     &[("        labels:", "additionalProperties:\n            type: string",
        "properties:\n            colour:\n              type: string\n              description: Its colour.")],
     "/components/schemas/ParcelSendRequest/properties/labels",
     "an object with properties must be a component", "make it a component"),
    ("a closed enum", &[("    ParcelSize:", "x-extensible-enum: [s, xl]", "enum: [s, xl]")],
     "/components/schemas/ParcelSize/enum",
     "`enum` closes a set of values", "`x-extensible-enum`"),
    ("an open enum that is not a component",
     &[("        place:", "x-smtp2go-also: [object]", "x-extensible-enum: [here, there]")],
     "/components/schemas/Parcel/properties/place/x-extensible-enum",
     "an open enum must be a component", "make it a component"),
    ("a list without `items`",
     &[("        recipients:", "          items:\n            type: string\n            maxLength: 40\n",
        "")],
     "/components/schemas/ParcelSendRequest/properties/recipients",
     "the list has no `items`", "add `items`"),
    ("a list of lists",
     &[("        recipients:", "type: string\n            maxLength: 40",
        "type: array\n            items: {type: string}")],
     "/components/schemas/ParcelSendRequest/properties/recipients/items",
     "lists of lists are not supported", "leave the items untyped"),
    ("a component that is only a reference",
     &[("    # depot\n", "    # depot\n", "    Other:\n      $ref: '#/components/schemas/Depot'\n")],
     "/components/schemas/Other",
     "only an alias of another component", "refer to the other component"),
    ("a component whose name is not PascalCase",
     &[("    DepotCount:", "DepotCount", "depot_count"),
       ("    DepotAllResponse:", "DepotCount", "depot_count")],
     "/components/schemas/depot_count",
     "`depot_count` is not a valid component name", "PascalCase"),
    ("a component that progenitor would rename",
     &[("    DepotCount:", "DepotCount", "DepotID"), ("    DepotAllResponse:", "DepotCount", "DepotID")],
     "/components/schemas/DepotID",
     "`DepotID` is not a valid component name", "`SmsPart`"),
    ("a component with a name that generated code needs",
     &[("    DepotCount:", "DepotCount", "Date"), ("    DepotAllResponse:", "DepotCount", "Date")],
     "/components/schemas/Date",
     "`Date` is not a valid component name", "are taken"),
    ("two properties that become the same field", &[("        due:", "due:", "lastScan:")],
     "/components/schemas/Parcel/properties/last-scan",
     "`last-scan` and `lastScan` would be the same field", "x-smtp2go-also-named"),
    ("a property that would be the map of additional properties", &[("    ParcelEvent:", "id:", "Other:")],
     "/components/schemas/ParcelEvent/properties/Other",
     "`Other` and `additionalProperties` would be the same field", "remove one"),
    ("a property without a name", &[("        due:", "due:", "'-':")],
     "/components/schemas/Parcel/properties/-",
     "`-` has no letter or digit", "remove it"),
    ("components that differ in case only",
     &[("    # depot\n", "    # depot\n",
        "    Parcelsize:\n      type: string\n      description: Again.\n")],
     "/components/schemas/Parcelsize",
     "`Parcelsize` differs from `ParcelSize` only in case", "choose another name"),
    ("an object that is both sent and received", &[("        contents:", "ParcelItem", "Depot")],
     "/components/schemas/Depot",
     "`Depot` is both sent and received", "make two components"),
    ("an unused component",
     &[("    # depot\n", "    # depot\n",
        "    Spare:\n      type: string\n      description: Not needed.\n")],
     "/components/schemas/Spare",
     "`Spare` is not used", "remove it"),
    ("a component that contains itself",
     &[("    Depot:\n", "#/components/schemas/ParcelSize", "#/components/schemas/Depot")],
     "/components/schemas/Depot",
     "`Depot` contains itself", "leave the inner schema untyped"),
    ("a request that allows other properties",
     &[("    ParcelMoveRequest:", "      additionalProperties: false\n", "")],
     "/components/schemas/ParcelMoveRequest",
     "`ParcelMoveRequest` is sent, but allows other properties", "add `additionalProperties: false`"),
    ("a component without a description",
     &[("    ParcelSize:", "      description: How large a parcel is.\n", "")],
     "/components/schemas/ParcelSize",
     "the schema has no description", "add a `description`"),
    ("a property without a description",
     &[("        weight:\n          type: number", "          description: In kilograms.\n", "")],
     "/components/schemas/ParcelSendRequest/properties/weight",
     "the schema has no description", "add a `description`"),
    ("a required name that is not a property",
     &[("    ParcelItem:", "required: [name]", "required: [name, size]")],
     "/components/schemas/ParcelItem/required",
     "`size` is required but not a property", "add the property"),
    // Extensions of operations
    ("an extension that is misspelt",
     &[("operationId: parcel_send", "x-smtp2go-evidence", "x-smtp2go-evidense")],
     "/paths/~1parcel~1send/post/x-smtp2go-evidense",
     "the extension `x-smtp2go-evidense` is unknown", "correct the spelling"),
    ("x-smtp2go-revision",
     &[("title: Parcel API", "version: 1.0.0", "version: 1.0.0\n  x-smtp2go-revision: 2026-3-2")],
     "/info/x-smtp2go-revision",
     "the extension `x-smtp2go-revision` is malformed", "write a day"),
    ("x-smtp2go-revision elsewhere",
     &[("operationId: depot_ping", "x-smtp2go-kind: read", "x-smtp2go-kind: read\n      x-smtp2go-revision: '2026-03-02'")],
     "/paths/~1depot~1ping/post/x-smtp2go-revision",
     "the extension `x-smtp2go-revision` does not belong here", "spec/README.md lists where it may occur"),
    ("no kind", &[("operationId: depot_ping", "      x-smtp2go-kind: read\n", "")],
     "/paths/~1depot~1ping/post",
     "the operation has no `x-smtp2go-kind`", "add one of read, write, send"),
    ("an operation without `x-smtp2go-repeat-safe`", &[("operationId: depot_ping", "      x-smtp2go-repeat-safe: true\n", "")],
     "/paths/~1depot~1ping/post",
     "the operation has no `x-smtp2go-repeat-safe`", "add true or false"),
    ("x-smtp2go-kind", &[("operationId: parcel_send", "kind: send", "kind: sent")],
     "/paths/~1parcel~1send/post/x-smtp2go-kind",
     "is malformed", "one of read, write, send"),
    ("x-smtp2go-repeat-safe", &[("operationId: parcel_send", "repeat-safe: false", "repeat-safe: never")],
     "/paths/~1parcel~1send/post/x-smtp2go-repeat-safe",
     "is malformed", "true or false"),
    ("x-smtp2go-max-body-bytes", &[("operationId: parcel_send", "1048576", "1 MB")],
     "/paths/~1parcel~1send/post/x-smtp2go-max-body-bytes",
     "is malformed", "a number above 0"),
    ("x-smtp2go-max-body-bytes", &[("operationId: parcel_send", "1048576", "0")],
     "/paths/~1parcel~1send/post/x-smtp2go-max-body-bytes",
     "is malformed", "a number above 0"),
    ("x-smtp2go-rate-limit", &[("operationId: parcel_search", "requests: 60", "requests: 0")],
     "/paths/~1parcel~1search/post/x-smtp2go-rate-limit",
     "is malformed", "{requests: 60, per: minute}"),
    ("x-smtp2go-rate-limit", &[("operationId: parcel_search", "per: minute", "per: week")],
     "/paths/~1parcel~1search/post/x-smtp2go-rate-limit",
     "is malformed", "second, minute, hour or day"),
    ("x-smtp2go-rate-limit", &[("operationId: parcel_search", "per: minute", "per: minute, burst: 2")],
     "/paths/~1parcel~1search/post/x-smtp2go-rate-limit",
     "is malformed", "{requests: 60, per: minute}"),
    ("x-smtp2go-pagination", &[("operationId: parcel_search", "style: token", "style: link")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "is malformed", "token|page"),
    ("x-smtp2go-pagination", &[("operationId: parcel_search", "in: continue_token", "in: token")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "is malformed", "all of them existing"),
    ("x-smtp2go-pagination", &[("operationId: parcel_search", "        out: /data/continue_token\n", "")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "is malformed", "out: /POINTER (token only)"),
    ("x-smtp2go-pagination", &[("operationId: parcel_search", "items: /data/parcels", "items: /data/list")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "is malformed", "items: /POINTER"),
    ("x-smtp2go-pagination", &[("operationId: parcel_search", "size: limit", "size: count")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "is malformed", "size: FIELD (optional)"),
    ("x-smtp2go-pagination", &[("operationId: depot_view", "in: page, ", "in: page, out: /data, ")],
     "/paths/~1depot~1view/post/x-smtp2go-pagination",
     "is malformed", "out: /POINTER (token only)"),
    ("a search by token that is not a `read`", &[("operationId: parcel_search", "kind: read", "kind: write")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "the operation must be a `read`", "remove `pagination`"),
    ("a stream with the name of an operation",
     &[("operationId: parcel_move", "parcel_move", "parcel_search_all")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "the name of the operation `parcel_search_all`", "another operationId"),
    ("a token that is a number", &[("operationId: parcel_search", "in: continue_token", "in: limit")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`limit` can't serve as `in`", "a string for tokens"),
    ("a size that is a text", &[("operationId: parcel_search", "size: limit", "size: continue_token")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`continue_token` can't serve as `size`", "an integer"),
    ("a required page field", &[("    DepotViewRequest:", "      properties:", "      required: [page]\n      properties:")],
     "/paths/~1depot~1view/post/x-smtp2go-pagination",
     "`page` can't serve as `in`", "an optional field"),
    ("items that are not a list", &[("operationId: parcel_search", "items: /data/parcels", "items: /data/continue_token")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`/data/continue_token` can't serve as `items`", "point to a list"),
    ("a token of an open enum",
     &[("    ParcelPage:", "        continue_token:\n          type: string\n          nullable: true\n          description: For the page after.\n",
        "        continue_token:\n          $ref: '#/components/schemas/ParcelState'\n")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`/data/continue_token` can't serve as `out`", "point to a list"),
    ("a token of the reply that is a list", &[("operationId: parcel_search", "out: /data/continue_token", "out: /data/parcels")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`/data/parcels` can't serve as `out`", "a string for the token"),
    ("a token too deep in the reply",
     &[("operationId: parcel_search", "out: /data/continue_token", "out: /data/more/token"),
       ("    ParcelPage:", "      properties:", "      properties:\n        more: {$ref: '#/components/schemas/More'}"),
       ("    # depot", "# depot", "More:\n      type: object\n      description: More.\n      properties:\n        token: {type: string, description: Token.}")],
     "/paths/~1parcel~1search/post/x-smtp2go-pagination",
     "`/data/more/token` can't serve as `out`", "right below it"),
    ("x-smtp2go-subaccount",
     &[("operationId: parcel_send", "subaccount: subaccount_id", "subaccount: account")],
     "/paths/~1parcel~1send/post/x-smtp2go-subaccount",
     "is malformed", "name a field of the request"),
    ("x-smtp2go-failure-in-200", &[("operationId: parcel_send", "count: /data/failed", "count: /failed")],
     "/paths/~1parcel~1send/post/x-smtp2go-failure-in-200",
     "is malformed", "all of them existing in the reply"),
    ("x-smtp2go-failure-in-200",
     &[("operationId: parcel_send", "messages: /data/failures", "messages: data")],
     "/paths/~1parcel~1send/post/x-smtp2go-failure-in-200",
     "is malformed", "{count: /POINTER, messages: /POINTER"),
    ("x-smtp2go-key-in-body", &[("operationId: depot_patch", "key-in-body: api_key", "key-in-body: true")],
     "/paths/~1depot~1view/patch/x-smtp2go-key-in-body",
     "is malformed", "name a field of the request"),
    ("x-smtp2go-evidence", &[("operationId: parcel_send", "evidence: sample", "evidence: rumour")],
     "/paths/~1parcel~1send/post/x-smtp2go-evidence",
     "is malformed", "live, sample, schema, docs, inferred, third-party"),
    // Extensions of schemas
    ("x-smtp2go-sensitive", &[("description: Needed to open it.", "sensitive: true", "sensitive: false")],
     "/components/schemas/ParcelSendRequest/properties/pin/x-smtp2go-sensitive",
     "is malformed", "write true; allowed on a string"),
    ("x-smtp2go-sensitive",
     &[("description: How many to send.", "send.", "send.\n          x-smtp2go-sensitive: true")],
     "/components/schemas/ParcelSendRequest/properties/copies/x-smtp2go-sensitive",
     "is malformed", "write true; allowed on a string"),
    ("x-smtp2go-sensitive",
     &[("        recipients:", "            maxLength: 40", "            x-smtp2go-sensitive: 'yes'")],
     "/components/schemas/ParcelSendRequest/properties/recipients/items/x-smtp2go-sensitive",
     "is malformed", "write true; allowed on a string"),
    ("x-smtp2go-also", &[("        place:", "also: [object]", "also: object")],
     "/components/schemas/Parcel/properties/place/x-smtp2go-also",
     "is malformed", "list JSON types"),
    ("x-smtp2go-also", &[("        place:", "also: [object]", "also: [objekt]")],
     "/components/schemas/Parcel/properties/place/x-smtp2go-also",
     "is malformed", "list JSON types"),
    ("x-smtp2go-also-named", &[("    ParcelSent:\n", "[id, parcelId]", "id")],
     "/components/schemas/ParcelSent/properties/parcel_id/x-smtp2go-also-named",
     "is malformed", "list other names"),
    ("an unknown format", &[("        not_before:", "format: timestamp", "format: time")],
     "/components/schemas/ParcelSendRequest/properties/not_before/format",
     "the format \"time\" is not known", "use one that spec/README.md lists"),
    ("x-smtp2go-known-words-only",
     &[("        type:\n          allOf:", "known-words-only: true", "known-words-only: false")],
     "/components/schemas/ParcelSendRequest/properties/type/x-smtp2go-known-words-only",
     "is malformed", "on a field whose type is an open enum"),
    ("x-smtp2go-known-words-only",
     &[("description: Yours.", "Yours.", "Yours.\n          x-smtp2go-known-words-only: true")],
     "/components/schemas/ParcelSendRequest/properties/reference/x-smtp2go-known-words-only",
     "is malformed", "on a field whose type is an open enum"),
    ("x-smtp2go-max-days-ahead",
     &[("        not_before:", "max-days-ahead: 30", "max-days-ahead: soon")],
     "/components/schemas/ParcelSendRequest/properties/not_before/x-smtp2go-max-days-ahead",
     "is malformed", "write a number; allowed on a timestamp"),
    ("x-smtp2go-refused",
     &[("        reference:", "refused: [none, n/a]", "refused: none")],
     "/components/schemas/ParcelSendRequest/properties/reference/x-smtp2go-refused",
     "is malformed", "write a list of strings; allowed on a string"),
    ("x-smtp2go-header",
     &[("        pin:\n          type: string\n          minLength", "header: true", "header: false")],
     "/components/schemas/ParcelSendRequest/properties/pin/x-smtp2go-header",
     "is malformed", "on a string or a list of strings"),
    ("x-smtp2go-header",
     &[("        weight:\n          type: number", "kilograms.",
        "kilograms.\n          x-smtp2go-header: true")],
     "/components/schemas/ParcelSendRequest/properties/weight/x-smtp2go-header",
     "is malformed", "on a string or a list of strings"),
    ("x-smtp2go-always-send", &[("        insured:", "          default: false\n", "")],
     "/components/schemas/ParcelSendRequest/properties/insured/x-smtp2go-always-send",
     "is malformed", "on a boolean with `default: false`"),
    ("x-smtp2go-always-send", &[("        insured:", "default: false", "default: true")],
     "/components/schemas/ParcelSendRequest/properties/insured/x-smtp2go-always-send",
     "is malformed", "on a boolean with `default: false`"),
    ("x-smtp2go-based-on", &[("    ParcelMoveRequest:", "reply: Parcel,", "reply: Parcels,")],
     "/components/schemas/ParcelMoveRequest/x-smtp2go-based-on",
     "is malformed", "of the same types"),
    ("x-smtp2go-based-on", &[("    ParcelMoveRequest:", "door_code: pin", "door_code: stamps")],
     "/components/schemas/ParcelMoveRequest/x-smtp2go-based-on",
     "is malformed", "of the same types"),
    ("x-smtp2go-based-on", &[("    ParcelMoveRequest:", "door_code: pin", "code: pin")],
     "/components/schemas/ParcelMoveRequest/x-smtp2go-based-on",
     "is malformed", "of the same types"),
    ("x-smtp2go-ignored", &[("    ParcelMoveRequest:", "[edition]", "[parcel_id]")],
     "/components/schemas/ParcelMoveRequest/x-smtp2go-ignored",
     "is malformed", "names that the object does not have"),
    ("x-smtp2go-known-errors", &[("    ErrorResponse:", "cause: key", "cause: nobody")],
     "/components/schemas/ErrorResponse/x-smtp2go-known-errors",
     "is malformed", "cause: key|sender|rate"),
    ("x-smtp2go-known-errors", &[("    ErrorResponse:", "contains: [no such key]", "contains: ['']")],
     "/components/schemas/ErrorResponse/x-smtp2go-known-errors",
     "is malformed", "contains: [TEXT, …]"),
    ("x-smtp2go-known-errors", &[("    ErrorResponse:", "code: KEY_LOST", "code: KEY_LOST, contains: [key]")],
     "/components/schemas/ErrorResponse/x-smtp2go-known-errors",
     "is malformed", "or code: CODE"),
    ("x-smtp2go-aliases", &[("    ParcelState:", "in-transit: moving", "in-transit: still")],
     "/components/schemas/ParcelState/x-smtp2go-aliases",
     "is malformed", "values of this enum"),
    ("x-smtp2go-aliases", &[("    ParcelState:", "in-transit: moving", "delivered: moving")],
     "/components/schemas/ParcelState/x-smtp2go-aliases",
     "is malformed", "values of this enum"),
    ("x-smtp2go-evidence", &[("description: Not documented.", "inferred", "guessed")],
     "/components/schemas/Parcel/properties/misc/x-smtp2go-evidence",
     "is malformed", "live, sample, schema, docs, inferred, third-party"),
    ("values that give the same variant", &[("    ParcelSize:", "[s, xl]", "[s, xl, x-l, X_l]")],
     "/components/schemas/ParcelSize/x-extensible-enum",
     "the extension `x-extensible-enum` is malformed", "list distinct values"),
    ("an open enum without values", &[("    ParcelSize:", "[s, xl]", "[]")],
     "/components/schemas/ParcelSize/x-extensible-enum",
     "the extension `x-extensible-enum` is malformed", "list distinct values"),
    ("x-smtp2go-sensitive", &[("operationId: parcel_send", "evidence: sample", "sensitive: true")],
     "/paths/~1parcel~1send/post/x-smtp2go-sensitive",
     "does not belong here", "spec/README.md lists where it may occur"),
    ("x-smtp2go-kind", &[("description: Yours.", "Yours.", "Yours.\n          x-smtp2go-kind: read")],
     "/components/schemas/ParcelSendRequest/properties/reference/x-smtp2go-kind",
     "does not belong here", "spec/README.md lists where it may occur"),
    ("x-smtp2go-failure-in-200",
     &[("        labels:", "            type: string",
        "            type: string\n            x-smtp2go-failure-in-200: true")],
     "/components/schemas/ParcelSendRequest/properties/labels/additionalProperties/x-smtp2go-failure-in-200",
     "does not belong here", "spec/README.md lists where it may occur"),
    ("x-smtp2go-evidence", &[("    Broken:", "failed.", "failed.\n      x-smtp2go-evidence: live")],
     "/components/responses/Broken/x-smtp2go-evidence",
     "does not belong here", "spec/README.md lists where it may occur"),
    ("x-smtp2go-kind", &[("info:", "info:", "info:\n  x-smtp2go-kind: read")],
     "/info/x-smtp2go-kind",
     "does not belong here", "spec/README.md lists where it may occur"),
];

/// Applies `edits` to the fixture. Fails if an edit does not find its place.
fn edited(edits: &[Edit]) -> Result<String, String> {
    let mut text = fixture::TEXT.to_owned();
    for (anchor, from, to) in edits {
        let line = if anchor.starts_with(' ') { "\n" } else { "" };
        let anchors: Vec<_> = text.match_indices(&format!("{line}{anchor}")).collect();
        let [(start, _)] = anchors[..] else {
            return Err(format!("{anchor:?} is there {} times", anchors.len()));
        };
        let Some(found) = text[start..].find(from) else {
            return Err(format!("there is no {from:?} after {anchor:?}"));
        };
        text.replace_range(start + found..start + found + from.len(), to);
    }
    Ok(text)
}

/// Returns the problems of a text that must be refused.
fn problems(text: &str) -> Problems {
    match load::parse("spec.yaml", text) {
        Ok(_) => panic!("the text was accepted"),
        Err(problems) => problems,
    }
}

#[test]
fn broken_spec_is_refused_with_place_and_remedy() {
    let mut failures = Vec::new();
    for (what, edits, pointer, message, remedy) in ROWS {
        let found = match edited(edits).map(|text| load::parse("spec.yaml", &text)) {
            Ok(Err(problems)) => problems,
            Ok(Ok(_)) => {
                failures.push(format!("{what} {edits:?}: accepted"));
                continue;
            }
            Err(error) => {
                failures.push(format!("{what}: {error}"));
                continue;
            }
        };
        let fits = found.list().iter().any(|problem| {
            problem.pointer == *pointer
                && problem.message.contains(message)
                && problem.remedy.contains(remedy)
        });
        if !fits {
            failures.push(format!(
                "{what} {edits:?}\nwanted: {pointer}: {message}\nfound: {found}\n"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn invalid_yaml_is_refused_with_its_line() {
    let twice = fixture::TEXT.replacen("    DepotCount:", "    Depot:", 1);
    for (text, message) in [
        (twice.as_str(), "duplicate mapping key: Depot"),
        ("openapi: 3.0.3\ninfo: [", "line 2"),
        ("info:\n\ttitle: A tab\n", "line 2"),
        ("a: 1\n---\nb: 2\n", "line 3"),
        ("? [a]\n: 1\n", "line 1"),
        ("a: &a [*a]\n", "line 1"),
        ("a: .nan\n", "line 1"),
        ("\0", "line 1"),
        (&"[".repeat(100_000), "line 1"),
    ] {
        let found = problems(text);
        let [problem] = found.list() else {
            panic!("{found}");
        };
        let start: String = text.chars().take(20).collect();
        assert_eq!(problem.pointer, "", "{start}");
        assert_eq!(problem.remedy, "fix the YAML syntax", "{start}");
        assert!(
            problem.message.starts_with("is not YAML: line ") && problem.message.contains(message),
            "{start}: {problem:?}"
        );
    }
}

#[test]
fn document_that_is_not_openapi_is_refused() {
    let no_info = fixture::TEXT.replacen("info:", "x-info:", 1);
    for (text, message) in [
        ("", "null"),
        ("# nothing\n", "null"),
        ("- openapi\n", "sequence"),
        ("42\n", "42"),
        (
            "openapi: 3.0.3\ninfo: {title: A, version: '1'}\npaths: []\n",
            "Paths",
        ),
        (
            "openapi: 3.0.3\ninfo: {title: A, version: '1'}\n",
            "missing field `paths`",
        ),
        (&no_info, "missing field `info`"),
    ] {
        let found = problems(text);
        let [problem] = found.list() else {
            panic!("{found}");
        };
        assert_eq!(problem.pointer, "");
        assert!(
            problem.message.starts_with("is not OpenAPI 3.0: ")
                && problem.message.contains(message),
            "{problem:?}"
        );
        assert!(problem.remedy.contains("OpenAPI 3.0.3 specification"));
    }
}

#[test]
fn unreadable_spec_is_an_error_with_its_path() {
    let path = fixture::repository().join("spec/nothing.yaml");
    let problems = load::load(&path).unwrap_err();
    let text = problems.to_string();
    assert!(text.contains("nothing.yaml: cannot be read: "), "{text}");
    assert!(text.ends_with("(check the path)"), "{text}");
}

/// All problems are reported at once, each with its file, place and remedy.
#[test]
fn several_faults_are_all_reported() {
    let text = edited(&[
        ("operationId: parcel_send", "kind: send", "kind: sent"),
        ("operationId: parcel_search", "limit: 10", "limit: 0"),
        ("        sender:", "minLength: 1", "pattern: '^A'"),
        ("summary: Change a depot", "'200'", "'201'"),
        (
            "    ParcelSize:",
            "      description: How large a parcel is.\n",
            "",
        ),
    ])
    .unwrap();
    insta::assert_snapshot!("several_faults", problems(&text));
}

/// Dangling references are reported alone, because other checks would follow them.
#[test]
fn all_dangling_references_are_reported() {
    let text = edited(&[
        (
            "    ParcelSendResponse:",
            "schemas/ParcelSent'",
            "schemas/Nothing'",
        ),
        (
            "operationId: parcel_move",
            "responses/Refused",
            "responses/Nothing",
        ),
        ("operationId: parcel_search", "limit: 10", "limit: 0"),
    ])
    .unwrap();
    insta::assert_snapshot!("dangling_references", problems(&text));
}
