// The section `models`: what both ends of an API speak of by name. Resources make tables of models, callers hold requests and answers
// against them.
#include "config/definition.h"

// clang-format off
const dx_section dx_models_section = {
    .name = "models",
    .schema =
    "{"
      "\"description\":\"Data models by name, each a JSON Schema (draft 2020-12). Models refer to each other as \\\"#/models/Name\\\".\","
      "\"type\":\"object\","
      "\"propertyNames\":{\"pattern\":\"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$\"},"
      "\"additionalProperties\":{"
        "\"description\":\"A JSON Schema. Formats are asserted. The top-level properties become the columns of the resources that use the model.\","
        "\"type\":[\"object\",\"boolean\"]"
      "}"
    "}",
};
// clang-format on
