// The JSON Schema of the section `resources`: what is checked, what is filled in and what the reference page says all come
// from here. The numbers are those of load.h, so that a default stands once.
#include "resource/changes.h"
#include "resource/load.h"

#define TEXT_OF(token) #token
#define NUMBER(macro)  TEXT_OF(macro)

// clang-format off
#define FIELD_LIST(about)                                                                                                                  \
    "{\"description\":\"" about "\",\"type\":\"array\",\"default\":[],\"items\":{\"description\":\"A field, or several that count "          \
    "together.\",\"type\":[\"string\",\"array\"],\"minLength\":1,\"minItems\":1,\"maxItems\":" NUMBER(DX_INDEX_FIELDS_CAP)                  \
    ",\"uniqueItems\":true,\"items\":{\"type\":\"string\"}}}"

#define ACCESS_RULE(about)                                                                                                                 \
    "{\"description\":\"" about "\",\"type\":[\"string\",\"object\"],\"if\":{\"type\":\"string\"},\"then\":{\"enum\":[\"public\",\"authenticated\"]},\"properties\":{\"roles\":{" \
    "\"description\":\"A caller needs one of these roles.\",\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\","             \
    "\"minLength\":1}}},\"required\":[\"roles\"],\"additionalProperties\":false}"

const dx_section dx_resources_section = {
    .name = "resources",
    .schema =
    "{"
      "\"description\":\"Collections of rows to serve, by name: the name is the path segment and the table.\","
      "\"type\":\"object\","
      "\"propertyNames\":{\"pattern\":\"^[A-Za-z][A-Za-z0-9_-]{0,62}$\"},"
      "\"additionalProperties\":{"
        "\"description\":\"One resource.\","
        "\"type\":\"object\","
        "\"required\":[\"model\"],"
        "\"additionalProperties\":false,"
        "\"properties\":{"
          "\"model\":{\"description\":\"Name of the model (section models) that rows obey.\",\"type\":\"string\"},"
          "\"id\":{\"description\":\"What ids are: numbers that count upwards, or time-ordered UUIDs (version 7).\","
            "\"enum\":[\"integer\",\"uuid\"],\"default\":\"integer\"},"
          "\"owner\":{\"description\":\"Rows belong to the account that created them (owner_id); a caller sees only their own, "
            "save where an action is public.\",\"type\":\"boolean\",\"default\":false},"
          "\"owner_bypass_role\":{\"description\":\"Callers with this role see and change the rows of all owners.\",\"type\":\"string\","
            "\"minLength\":1},"
          "\"soft_delete\":{\"description\":\"Deleting hides a row (deleted_at) instead of removing it. The unique values of hidden rows "
            "are free again.\",\"type\":\"boolean\",\"default\":false},"
          "\"unique\":" FIELD_LIST("Fields, or combinations of fields, whose value no two rows may share. Nulls never collide.") ","
          "\"index\":" FIELD_LIST("Fields, or combinations of fields, to index: what lists are often filtered and sorted by. "
            "The id, owner_id, references and unique fields have indexes anyway.") ","
          "\"references\":{\"description\":\"Fields that hold the id of a row of another resource: {field: resource}. They are checked on "
            "every write, indexed, and can be expanded.\",\"type\":\"object\",\"default\":{},"
            "\"additionalProperties\":{\"description\":\"Name of the resource.\",\"type\":\"string\"}},"
          "\"access\":{\"description\":\"Who may do what: \\\"public\\\", \\\"authenticated\\\" or {\\\"roles\\\": […]}, for everything or "
            "by action. Absent: authenticated.\",\"type\":[\"string\",\"object\"],\"if\":{\"type\":\"string\"},\"then\":{\"enum\":[\"public\",\"authenticated\"]},"
            "\"additionalProperties\":false,\"properties\":{"
              "\"roles\":{\"description\":\"For every action: a caller needs one of these roles.\",\"type\":\"array\",\"minItems\":1,"
                "\"items\":{\"type\":\"string\",\"minLength\":1}},"
              "\"default\":" ACCESS_RULE("Actions that nothing else is said of.") ","
              "\"read\":" ACCESS_RULE("Reading one row, and listing unless list says otherwise.") ","
              "\"write\":" ACCESS_RULE("create, replace, change and delete, unless they say otherwise.") ","
              "\"list\":" ACCESS_RULE("GET on the collection.") ","
              "\"create\":" ACCESS_RULE("POST on the collection.") ","
              "\"replace\":" ACCESS_RULE("PUT on a row.") ","
              "\"change\":" ACCESS_RULE("PATCH on a row.") ","
              "\"delete\":" ACCESS_RULE("DELETE on a row, and on many.")
            "}},"
          "\"page\":{\"description\":\"Sizes of list pages.\",\"type\":\"object\",\"default\":{},\"additionalProperties\":false,\"properties\":{"
            "\"size\":{\"description\":\"Rows on a page when page_size is not given.\",\"type\":\"integer\",\"minimum\":1,\"maximum\":"
              NUMBER(DX_PAGE_CAP_MOST) ",\"default\":" NUMBER(DX_PAGE_SIZE) "},"
            "\"cap\":{\"description\":\"Most rows on a page, whatever page_size asks for.\",\"type\":\"integer\",\"minimum\":1,\"maximum\":"
              NUMBER(DX_PAGE_CAP_MOST) ",\"default\":" NUMBER(DX_PAGE_CAP) "}}},"
          "\"bulk\":{\"description\":\"Writes of many rows.\",\"type\":\"object\",\"default\":{},\"additionalProperties\":false,\"properties\":{"
            "\"cap\":{\"description\":\"Most rows in one bulk create or delete.\",\"type\":\"integer\",\"minimum\":1,\"maximum\":"
              NUMBER(DX_BULK_CAP_MOST) ",\"default\":" NUMBER(DX_BULK_CAP) "}}},"
          "\"expand\":{\"description\":\"Expansion of references.\",\"type\":\"object\",\"default\":{},\"additionalProperties\":false,"
            "\"properties\":{\"cap\":{\"description\":\"Most references that one request may expand; 0 turns expand off.\",\"type\":\"integer\","
              "\"minimum\":0,\"maximum\":" NUMBER(DX_EXPAND_CAP_MOST) ",\"default\":" NUMBER(DX_EXPAND_CAP) "}}},"
          "\"count\":{\"description\":\"Whether a page of a list tells the number of all rows when count= is not given.\","
            "\"enum\":[\"exact\",\"none\"],\"default\":\"exact\"},"
          "\"changes\":{\"description\":\"Keeps a log of committed changes and serves it as a stream of events at <resource>/changes. "
            "Each write then writes one row more.\",\"type\":[\"boolean\",\"object\"],\"default\":false,\"additionalProperties\":false,"
            "\"properties\":{"
              "\"keep\":{\"description\":\"How long a change is kept, for clients that come back and go on where they were.\","
                "\"type\":\"string\",\"pattern\":\"" DX_DURATION_PATTERN "\",\"default\":\"" DX_CHANGES_KEEP "\"},"
              "\"rows\":{\"description\":\"About how many changes are kept, whatever their age.\",\"type\":\"integer\",\"minimum\":"
                NUMBER(DX_CHANGES_ROWS_MIN) ",\"maximum\":" NUMBER(DX_CHANGES_ROWS_MOST) ",\"default\":" NUMBER(DX_CHANGES_ROWS) "}}},"
          "\"cache_control\":{\"description\":\"The Cache-Control field of reads and lists. Absent: \\\"public, no-cache\\\" where reading is "
            "public, else \\\"private, no-cache\\\".\",\"type\":\"string\",\"pattern\":\"^[\\\\x20-\\\\x7e]+$\"},"
          "\"require_if_match\":{\"description\":\"Writes to a row without If-Match are refused (428), so that no update is lost.\","
            "\"type\":\"boolean\",\"default\":false},"
          "\"dropped\":{\"description\":\"Columns of an earlier definition whose data may be deleted.\",\"type\":\"array\",\"default\":[],"
            "\"items\":{\"type\":\"string\"}},"
          "\"renamed\":{\"description\":\"Fields that had another name in an earlier definition: {new: old}.\",\"type\":\"object\","
            "\"default\":{},\"additionalProperties\":{\"description\":\"The old name.\",\"type\":\"string\"}},"
          "\"fallback\":{\"description\":\"What rows that exist already get in a new field: {field: value}. Absent: the field's default.\","
            "\"type\":\"object\",\"default\":{},\"additionalProperties\":{\"description\":\"A value of the field's type.\"}}"
        "}"
      "}"
    "}",
};
// clang-format on
