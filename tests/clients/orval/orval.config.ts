// orval.config.ts
export default {
  smtp2go: {
    input: "openapi.yaml",
    output: { target: "smtp2go.ts", client: "fetch", baseUrl: { getBaseUrlFromSpecification: true } },
  },
};
