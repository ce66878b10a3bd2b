// Importing OpenAPI: what becomes what, what is told, and what hostile documents can't do.
#include "client/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/yaml.h"
#include "model/schema.h"

static dx_arena *arena;
static dx_diags findings;
static dx_import_counts counts;

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create((size_t)1 << 30);
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *read_yaml(dx_slice text) {
    yyjson_doc *doc;
    dx_diags found;
    const dx_json_options options = {.depth_cap = DX_IMPORT_DEPTH_CAP};
    dx_diags_init(&found, arena);
    if (dx_yaml_read(&doc, arena, text, &options, &found) != DX_OK) fail_msg("%s", dx_diag_text(found.first, arena).data);
    return yyjson_doc_get_root(doc);
}

static yyjson_val *import_value(yyjson_val *document, const dx_import_options *options) {
    yyjson_mut_doc *made;
    yyjson_alc alc = dx_json_alc(arena);
    dx_diags_init(&findings, arena);
    dx_status status = dx_import_openapi(&made, &counts, arena, document, options, &findings);
    if (status != DX_OK) fail_msg("%s: %s", dx_status_name(status), findings.last ? findings.last->message.data : "");
    return yyjson_doc_get_root(yyjson_mut_doc_imut_copy(made, &alc));
}

static yyjson_val *import_yaml(const char *text) {
    return import_value(read_yaml(dx_slice_str(text)), NULL);
}

static const char *as_text(yyjson_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 16 << 20);
    dx_json_write_value(&text, value);
    dx_buffer_byte(&text, '\0');
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '"') text.data[i] = '\''; // so that expectations are easy to read
    return text.data;
}

static void expect(yyjson_val *definition, const char *pointer, const char *json) {
    yyjson_val *found = dx_json_at(definition, dx_slice_str(pointer));
    if (!found) fail_msg("nothing at %s in %s", pointer, as_text(definition));
    if (strcmp(as_text(found), json) != 0) fail_msg("%s: %s", pointer, as_text(found));
}

static void expect_finding(const char *pointer, const char *part) {
    for (const dx_diag *diag = findings.first; diag; diag = diag->next)
        if (dx_slice_equal(diag->pointer, dx_slice_str(pointer)) && strstr(diag->message.data, part)) return;
    for (const dx_diag *diag = findings.first; diag; diag = diag->next) print_error("%s\n", dx_diag_text(diag, arena).data);
    fail_msg("nothing is told of %s: %s", pointer, part);
}

static void expect_refusal(const char *text, const char *part) {
    yyjson_mut_doc *made;
    dx_diags_init(&findings, arena);
    assert_int_equal(dx_import_openapi(&made, &counts, arena, read_yaml(dx_slice_str(text)), NULL, &findings), DX_INVALID);
    assert_null(made);
    if (!strstr(findings.last->message.data, part)) fail_msg("%s", findings.last->message.data);
}

// A document of one operation.
static yyjson_val *import_operation(const char *version, const char *operation, const char *rest) {
    return import_yaml(dx_arena_printf(arena,
                                       "{openapi: %s, info: {title: T, version: '1'}, servers: [{url: 'https://t.example'}], paths: {/p: "
                                       "{post: {operationId: op, %s}}}%s%s}",
                                       version, operation, rest[0] ? ", " : "", rest)
                           .data);
}
#define ENDPOINT "/apis/t/endpoints/v1/op"

static const char petstore[] =
    "openapi: 3.0.3\n"
    "info: {title: Pet Store, version: 2.1.0}\n"
    "servers:\n"
    "  - url: https://{region}.pets.example/api/\n"
    "    variables: {region: {default: eu, enum: [eu, us]}}\n"
    "security: [{key: []}]\n"
    "paths:\n"
    "  /pets:\n"
    "    parameters:\n"
    "      - $ref: '#/components/parameters/Trace'\n"
    "      - {name: limit, in: query, schema: {type: integer, maximum: 5}}\n"
    "    get:\n"
    "      operationId: listPets\n"
    "      summary: All pets\n"
    "      parameters: [{name: limit, in: query, description: How many, schema: {type: integer, format: int64, default: 20}}]\n"
    "      responses:\n"
    "        200: {description: ok, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Pet'}}}}}\n"
    "    post:\n"
    "      operationId: create-pet\n"
    "      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}\n"
    "      responses:\n"
    "        201: {description: made, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}\n"
    "  /v1/pets/{pet-id}:\n"
    "    get:\n"
    "      security: []\n"
    "      parameters: [{name: pet-id, in: path, required: true, schema: {type: integer}}]\n"
    "      responses: {200: {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}}\n"
    "components:\n"
    "  parameters: {Trace: {name: X-Trace-Id, in: header, schema: {type: string}}}\n"
    "  securitySchemes: {key: {type: apiKey, in: header, name: X-API-Key}}\n"
    "  schemas:\n"
    "    Pet:\n"
    "      type: object\n"
    "      required: [name]\n"
    "      properties:\n"
    "        id: {type: integer, format: int64, readOnly: true}\n"
    "        name: {type: string}\n"
    "        petId: {type: string, nullable: true}\n";

static void operations_become_endpoints(void **state) {
    (void)state;
    yyjson_val *made = import_yaml(petstore);
    expect(made, "/apis/pet_store/base_url", "'https://eu.pets.example/api'");
    expect(made, "/apis/pet_store/title", "'Pet Store'");
    expect(made, "/apis/pet_store/auth", "{'type':'api_key','in':'header','name':'X-API-Key','value':'${PET_STORE_API_KEY}'}");
    expect(made, "/apis/pet_store/endpoints/v2/list_pets",
           "{'path':'/pets','method':'GET','auth_required':true,'summary':'All "
           "pets','params':{'limit':{'in':'query','type':'int','default':20,"
           "'description':'How many'},'x_trace_id':{'in':'header','name':'X-Trace-Id','type':'str'}},'response_model':'Pet[]'}");
    expect(made, "/apis/pet_store/endpoints/v2/create_pet/request_model", "'Pet'");
    expect(made, "/apis/pet_store/endpoints/v2/create_pet/response_model", "'Pet'");
    expect(made, "/apis/pet_store/endpoints/v2/create_pet/params/limit",
           "{'in':'query','type':'int','schema':{'type':'integer','maximum':5}}");
    expect(made, "/apis/pet_store/endpoints/v2/create_pet/params/pet_id", "{'in':'body','name':'petId','type':'str'}");
    assert_null(dx_json_at(made, DX_SLICE("/apis/pet_store/endpoints/v2/create_pet/params/id"))); // readOnly
    expect(made, "/apis/pet_store/endpoints/v1/get_v1_pets_by_pet_id",
           "{'path':'/v1/pets/{pet_id}','method':'GET','auth_required':false,'params':{'pet_id':{'in':'path','name':'pet-id','type':'int',"
           "'required':true}},'response_model':'Pet'}");
    expect(made, "/models/Pet/properties/petId", "{'type':['string','null']}");
    assert_int_equal(counts.endpoints, 3);
    assert_int_equal(counts.models, 1);
    assert_int_equal(findings.count, 1);
    expect_finding("/servers/0/variables/region", "\"eu\"");
}

static void names_and_urls_can_be_given(void **state) {
    (void)state;
    const dx_import_options given = {.name = DX_SLICE("my-pets"), .base_url = DX_SLICE("http://localhost:8080/")};
    yyjson_val *made = import_value(read_yaml(dx_slice_str(petstore)), &given);
    expect(made, "/apis/my-pets/base_url", "'http://localhost:8080'");
    expect(made, "/apis/my-pets/auth/value", "'${MY_PETS_API_KEY}'");
    yyjson_mut_doc *doc;
    const dx_import_options bad = {.name = DX_SLICE("my pets")};
    assert_int_equal(dx_import_openapi(&doc, &counts, arena, read_yaml(dx_slice_str(petstore)), &bad, NULL), DX_INVALID);
}

static void relative_servers_are_resolved_or_asked_for(void **state) {
    (void)state;
    const char *text = "{openapi: 3.1.0, info: {title: T}, servers: [{url: ../api}], paths: {/a: {get: {security: [{o: []}]}}}, "
                       "components: {securitySchemes: "
                       "{o: {type: oauth2, flows: {password: {tokenUrl: token, scopes: {}}}}}}}";
    const dx_import_options from = {.source = DX_SLICE("https://x.example/docs/v3/openapi.json")};
    yyjson_val *made = import_value(read_yaml(dx_slice_str(text)), &from);
    expect(made, "/apis/t/base_url", "'https://x.example/docs/api'");
    expect(made, "/apis/t/auth/token_url", "'https://x.example/docs/api/token'");
    made = import_yaml(text);
    expect(made, "/apis/t/base_url", "'${T_BASE_URL}'");
    expect(made, "/apis/t/auth/token_url", "'${T_BASE_URL}/token'");
    expect_finding("/servers", "T_BASE_URL");
}

static void what_else_than_openapi_3_is_refused(void **state) {
    (void)state;
    expect_refusal("{swagger: '2.0', info: {}}", "Swagger 2.0");
    expect_refusal("{info: {}}", "no OpenAPI document");
    expect_refusal("[1]", "no OpenAPI document");
    expect_refusal("{openapi: 4.0.0}", "3.0 or 3.1");
    expect_refusal("{openapi: 2.9}", "3.0 or 3.1");
    (void)import_yaml("{openapi: 3.0, paths: {}}");
    expect_finding("/paths", "no operation");
}

static void schemas_become_json_schema_2020_12(void **state) {
    (void)state;
    const char *const cases[][3] = {
        {"3.0.3", "{type: integer, minimum: 3, exclusiveMinimum: true}", "{'type':'integer','exclusiveMinimum':3}"},
        {"3.0.3", "{type: integer, maximum: 3, exclusiveMaximum: false}", "{'type':'integer','maximum':3}"},
        {"3.0.3", "{type: string, nullable: true, enum: [a]}", "{'enum':['a',null],'type':['string','null']}"},
        {"3.0.3", "{nullable: true, allOf: [{$ref: '#/components/schemas/B'}]}",
         "{'anyOf':[{'allOf':[{'$ref':'#/models/B'}]},{'type':'null'}]}"},
        {"3.0.3", "{$ref: '#/components/schemas/B', maxLength: 3, description: d}", "{'$ref':'#/models/B','description':'d'}"},
        {"3.1.0", "{$ref: '#/components/schemas/B', maxLength: 3}", "{'$ref':'#/models/B','maxLength':3}"},
        {"3.0.3", "{example: 1, x-own: {a: 1}}", "{'examples':[1],'x-own':{'a':1}}"},
        {"3.1.0", "{example: 1, examples: [2]}", "{'examples':[2,1]}"},
        {"3.0.3", "{properties: {a: {nullable: true, type: string}}, discriminator: {propertyName: a}}",
         "{'properties':{'a':{'type':['string','null']}},'x-discriminator':{'propertyName':'a'}}"},
        {"3.1.0", "{const: {nullable: true, $ref: x}, default: {example: 1}}",
         "{'const':{'nullable':true,'$ref':'x'},'default':{'example':1}}"},
        {"3.1.0", "{items: [{type: string}, true], additionalItems: false}",
         "{'prefixItems':[{'type':'string'},true],'x-additionalItems':false}"},
        {"3.1.0", "{definitions: {a: false}, format: mine, readOnly: true, writeOnly: true}",
         "{'$defs':{'a':false},'x-format':'mine','readOnly':true,'writeOnly':true}"},
        {"3.1.0", "{pattern: '(', description: 'costs ${MONEY} $5'}", "{'x-pattern':'(','description':'costs $${MONEY} $5'}"},
        {"3.1.0", "{$id: mine, $schema: x, required: true}", "{'x-id':'mine','x-schema':'x'}"},
        {"3.1.0", "{$ref: '#/components/schemas/B/properties/b'}", "{'$ref':'#/models/b'}"},
        {"3.1.0", "true", "true"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_val *made = import_yaml(
            dx_arena_printf(arena, "{openapi: %s, info: {title: T}, paths: {}, components: {schemas: {A: %s, B: {properties: {b: {}}}}}}",
                            cases[i][0], cases[i][1])
                .data);
        expect(made, "/models/A", cases[i][2]);
    }
}

static void parameters_get_types_or_schemas(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"in: query, schema: {type: number, title: A}", "{'in':'query','type':'float'}"},
        {"in: query, schema: {type: boolean, default: false}", "{'in':'query','type':'bool','default':false}"},
        {"in: query, schema: {type: array, items: {type: string}}", "{'in':'query','type':'list'}"},
        {"in: query, schema: {type: array, items: {type: integer}}",
         "{'in':'query','type':'list','schema':{'type':'array','items':{'type':'integer'}}}"},
        {"in: query, schema: {type: object}, style: deepObject, explode: true", "{'in':'query','type':'dict','style':'deep'}"},
        {"in: query, schema: {type: array}, style: pipeDelimited", "{'in':'query','type':'list','style':'pipe','explode':false}"},
        {"in: query, schema: {type: array}, style: spaceDelimited, explode: true", "{'in':'query','type':'list','style':'space'}"},
        {"in: query, schema: {type: array}, explode: false", "{'in':'query','type':'list','explode':false}"},
        {"in: query, schema: {type: string, enum: [a, b]}", "{'in':'query','type':'str','schema':{'type':'string','enum':['a','b']}}"},
        {"in: query, schema: {$ref: '#/components/schemas/Kind'}", "{'in':'query','type':'str','schema':{'$ref':'#/models/Kind'}}"},
        {"in: query, schema: {$ref: '#/components/schemas/Kind', description: d}",
         "{'in':'query','type':'str','schema':{'description':'d','allOf':[{'$ref':'#/models/Kind'}]}}"},
        {"in: query, schema: {anyOf: [{type: integer}, {type: 'null'}]}", "{'in':'query','type':'int'}"},
        {"in: query, schema: {type: [integer, 'null']}", "{'in':'query','type':'int'}"},
        {"in: query, schema: {type: [integer, string]}", "{'in':'query','schema':{'type':['integer','string']}}"},
        {"in: query, schema: {type: string, format: password}", "{'in':'query','type':'str','secret':true}"},
        {"in: query, schema: {}", "{'in':'query','type':'str'}"},
        {"in: query", "{'in':'query','type':'str'}"},
        {"in: cookie, required: true, schema: {type: integer}", "{'in':'cookie','type':'int','required':true}"},
        {"in: query, schema: {$ref: '#/components/schemas/Tree'}", "{'in':'query','type':'dict'}"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_val *made =
            import_operation("3.1.0", dx_arena_printf(arena, "parameters: [{name: a, %s}]", cases[i][0]).data,
                             "components: {schemas: {Kind: {type: string, enum: [x]}, Tree: {type: object, properties: {t: {$ref: "
                             "'#/components/schemas/Tree'}}}}}");
        expect(made, ENDPOINT "/params/a", cases[i][1]);
    }
}

static void parameters_that_are_named_alike_are_told_apart(void **state) {
    (void)state;
    yyjson_val *made = import_operation("3.1.0",
                                        "parameters: [{name: id, in: query}, {name: ID, in: query}, {name: Id, in: header}, {name: '1st', "
                                        "in: query}, {name: '\xc3\xa9', in: query}],"
                                        "requestBody: {content: {application/json: {schema: {properties: {id: {type: integer}}}}}}",
                                        "");
    expect(made, ENDPOINT "/params",
           "{'id':{'in':'query','type':'str'},'id_query':{'in':'query','name':'ID','type':'str'},'id_header':{'in':'header','name':'Id','"
           "type':'str'},"
           "'_1st':{'in':'query','name':'1st','type':'str'},'param':{'in':'query','name':'\xc3\xa9','type':'str'},'id_body':{'in':'body','"
           "name':'id','type':'int'}}");
}

static void bodies_become_parameters_models_or_media_types(void **state) {
    (void)state;
    yyjson_val *made =
        import_operation("3.1.0", "requestBody: {content: {application/json: {schema: {type: array, items: {type: integer}}}}}", "");
    expect(made, ENDPOINT,
           "{'path':'/"
           "p','method':'POST','auth_required':false,'body':{'wrap':'body'},'request_model':'OpRequest','params':{'body':{'in':'body','"
           "type':'list'}}}");
    made = import_operation("3.1.0",
                            "requestBody: {content: {multipart/form-data: {schema: {properties: {f: {type: string, format: binary}, n: "
                            "{type: integer, minimum: 0}}}}}}",
                            "");
    expect(made, ENDPOINT "/body", "{'content_type':'multipart/form-data'}");
    expect(made, ENDPOINT "/params",
           "{'f':{'in':'body','type':'file'},'n':{'in':'body','type':'int','schema':{'type':'integer','minimum':0}}}");
    assert_null(dx_json_at(made, DX_SLICE(ENDPOINT "/request_model")));
    made = import_operation("3.1.0", "requestBody: {content: {text/csv: {schema: {type: string}}}}", "");
    expect(made, ENDPOINT, "{'path':'/p','method':'POST','auth_required':false,'body':{'content_type':'text/csv'}}");
    made = import_operation("3.1.0",
                            "requestBody: {content: {application/xml: {}, application/vnd.x+json: {schema: {properties: {a: {}}}}}}", "");
    expect(made, ENDPOINT "/body", "{'content_type':'application/vnd.x+json'}");
    expect_finding("/paths/~1p/post/requestBody", "several media types");
    made = import_operation("3.1.0", "requestBody: {$ref: '#/components/requestBodies/R'}",
                            "components: {requestBodies: {R: {content: {application/json: {schema: {allOf: [{properties: {a: {type: "
                            "integer}}}, {$ref: '#/components/schemas/S'}]}}}}},"
                            "schemas: {S: {properties: {b: {type: string}}}}}");
    expect(made, ENDPOINT "/params", "{'a':{'in':'body','type':'int'},'b':{'in':'body','type':'str'}}");
    expect(made, "/models/OpRequest", "{'allOf':[{'properties':{'a':{'type':'integer'}}},{'$ref':'#/models/S'}]}");
}

static void the_first_success_is_the_answers_model(void **state) {
    (void)state;
    yyjson_val *made =
        import_operation("3.1.0",
                         "responses: {400: {content: {application/json: {schema: {type: object}}}}, 201: {content: {application/json: "
                         "{schema: {type: string}}}},"
                         "200: {content: {text/plain: {}}, links: {a: {}}}, default: {content: {application/json: {schema: {}}}}}",
                         "");
    expect(made, ENDPOINT "/response_model", "'OpResponse'");
    expect(made, "/models/OpResponse", "{'type':'string'}");
    expect_finding("/paths/~1p/post/responses", "answers of errors");
    expect_finding("/paths/~1p/post/responses/200", "links");
    made = import_operation("3.1.0", "responses: {204: {}, default: {content: {application/json: {schema: {type: object}}}}}", "");
    assert_null(dx_json_at(made, DX_SLICE(ENDPOINT "/response_model")));
}

static void security_schemes_become_auth_without_secrets(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"{type: http, scheme: Bearer}", "{'type':'bearer','token':'${T_TOKEN}'}"},
        {"{type: http, scheme: basic}", "{'type':'basic','username':'${T_USERNAME}','password':'${T_PASSWORD}'}"},
        {"{type: apiKey, in: cookie, name: sid}", "{'type':'api_key','in':'cookie','name':'sid','value':'${T_API_KEY}'}"},
        {"{type: oauth2, flows: {clientCredentials: {tokenUrl: /t, scopes: {r: Read, w: Write}}}}",
         "{'type':'oauth2','grant':'client_credentials','token_url':'https://t.example/"
         "t','client_id':'${T_CLIENT_ID}','client_secret':'${T_CLIENT_SECRET}','scopes':['r','w']}"},
        {"{type: oauth2, flows: {authorizationCode: {authorizationUrl: 'https://a.example/', tokenUrl: 'https://b.example/', refreshUrl: "
         "'https://c.example/'}}}",
         "{'type':'oauth2','grant':'authorization_code','authorization_url':'https://a.example/','token_url':'https://b.example/"
         "','refresh_url':'https://c.example/',"
         "'client_id':'${T_CLIENT_ID}','client_secret':'${T_CLIENT_SECRET}'}"},
        {"{type: oauth2, flows: {password: {tokenUrl: 'https://b.example/'}}}",
         "{'type':'oauth2','grant':'password','token_url':'https://b.example/','username':'${T_USERNAME}','password':'${T_PASSWORD}'}"},
        {"{type: openIdConnect, openIdConnectUrl: 'https://o.example/'}", "{'type':'bearer','token':'${T_TOKEN}'}"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        const char *rest = dx_arena_printf(arena, "components: {securitySchemes: {a: {type: mutualTLS}, s: %s}}", cases[i][0]).data;
        yyjson_val *made = import_operation("3.1.0", "security: [{s: [r]}]", rest);
        expect(made, "/apis/t/auth", cases[i][1]);
        expect_finding("/components/securitySchemes/a", "another security scheme");
    }
    yyjson_val *made = import_operation("3.1.0", "security: [{s: []}, {}]", "components: {securitySchemes: {s: {type: mutualTLS}}}");
    expect(made, ENDPOINT "/auth_required", "false");
    assert_null(dx_json_at(made, DX_SLICE("/apis/t/auth")));
    expect_finding("/components/securitySchemes/s", "mutualTLS");
}

static void names_that_collide_are_numbered_and_told(void **state) {
    (void)state;
    yyjson_val *made = import_yaml("{openapi: 3.1.0, info: {title: 123}, servers: [{url: 'https://t.example/v3'}], paths: {/a: {get: "
                                   "{operationId: getA}, put: {operationId: get_a}}, "
                                   "/v1.1/a: {get: {operationId: get-a}}}, components: {schemas: {'a b': {}, 'a/b': {}, a_b: {}}}}");
    expect(made, "/apis/api/endpoints/v3/get_a/method", "'GET'");
    expect(made, "/apis/api/endpoints/v3/get_a_2/method", "'PUT'");
    expect(made, "/apis/api/endpoints/v1_1/get_a_3/path", "'/v1.1/a'");
    expect_finding("/paths/~1a/put", "\"get_a_2\"");
    expect_finding("/components/schemas/a~1b", "\"a_b_2\"");
    expect(made, "/models", "{'a_b':{},'a_b_2':{},'a_b_3':{}}");
}

static void references_that_lead_nowhere_out_or_round_are_told(void **state) {
    (void)state;
    yyjson_val *made =
        import_yaml("{openapi: 3.1.0, info: {title: T}, servers: [{url: 'https://t.example'}], paths: {/a: {$ref: '#/paths/~1b'}, /b: "
                    "{$ref: '#/paths/~1a'}, /c: {get: "
                    "{operationId: c, parameters: [{$ref: 'x.yaml#/p'}, {$ref: '#/nowhere'}, {$ref: '#/components/parameters/P'}]}}}, "
                    "components: {parameters: {P: {$ref: '#/components/parameters/P'}}, "
                    "schemas: {L: {$ref: '#/components/schemas/M'}, M: {$ref: '#/components/schemas/L'}, T: {properties: {t: {$ref: "
                    "'#/components/schemas/T'}}}}}}");
    expect(made, "/apis/t/endpoints/v1/c", "{'path':'/c','method':'GET','auth_required':false}");
    expect(made, "/models", "{'L':{},'M':{},'T':{'properties':{'t':{'$ref':'#/models/T'}}}}");
    expect_finding("/paths/~1c/get/parameters/0", "another document");
    expect_finding("/paths/~1c/get/parameters/1", "no such thing");
    expect_finding("/components/parameters/P", "circle");
}

static void what_has_no_place_is_told(void **state) {
    (void)state;
    (void)import_yaml(
        "{openapi: 3.1.0, info: {title: T}, servers: [{url: 'https://t.example'}, {url: /b}], webhooks: {w: {}}, jsonSchemaDialect: x, "
        "paths: {'x y': {}, /a: "
        "{servers: [{url: /x}], trace: {}, get: {callbacks: {c: {}}, parameters: [{name: Accept, in: header}, {name: n, in: body}, {name: "
        "q, in: query, allowReserved: true, style: odd},"
        " {name: c, in: query, content: {application/json: {}}}, {name: gone, in: path}, {name: h, in: header, explode: true}]}}}}");
    expect_finding("/servers", "2 servers");
    expect_finding("/webhooks", "calls to you");
    expect_finding("/jsonSchemaDialect", "2020-12");
    expect_finding("/paths/x y", "not a path");
    expect_finding("/paths/~1a/trace", "TRACE");
    expect_finding("/paths/~1a/get", "callbacks");
    expect_finding("/paths/~1a/get", "servers of single operations");
    expect_finding("/paths/~1a/get/parameters/0", "ignores");
    expect_finding("/paths/~1a/get/parameters/1", "not a parameter");
    expect_finding("/paths/~1a/get/parameters/2", "allowReserved");
    expect_finding("/paths/~1a/get/parameters/2", "\"odd\" is not known");
    expect_finding("/paths/~1a/get/parameters/3", "media type");
    expect_finding("/paths/~1a/get/parameters/4", "no {gone}");
    expect_finding("/paths/~1a/get/parameters/5", "simple");
}

// A definition follows references in its settings, into files beside it: a document must not place any there.
static void no_reference_gets_into_the_settings(void **state) {
    (void)state;
    yyjson_val *made = import_operation(
        "3.1.0",
        "parameters: [{name: a, in: query, schema: {type: object, default: {x: [{$ref: secret.json}]}}}, {name: b, in: query, schema: "
        "{const: {$ref: secret.json}}}, {name: c, in: query, schema: {items: {x-a: {$ref: secret.json}}}}]",
        "components: {schemas: {A: {x-a: {$ref: secret.json}, xml: {$ref: a}, default: {$ref: secret.json}}}}");
    expect(made, ENDPOINT "/params", "{'a':{'in':'query','type':'dict'},'b':{'in':'query'},'c':{'in':'query','schema':{'items':{}}}}");
    expect(made, "/models/A", "{'default':{'$ref':'secret.json'}}"); // there it is data
    expect_finding("/paths/~1p/post/parameters/0/schema", "$ref");
    expect_finding("/components/schemas/A/x-a", "$ref");
}

static void what_is_too_deep_for_a_definition_is_told(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    DX_BUFFER_LIT(&text, "{openapi: 3.1.0, info: {title: T}, paths: {}, components: {schemas: {A: ");
    for (int i = 0; i < 100; i++) DX_BUFFER_LIT(&text, "{not: ");
    DX_BUFFER_LIT(&text, "true");
    for (int i = 0; i < 103; i++) dx_buffer_byte(&text, '}');
    yyjson_val *made = import_value(read_yaml(dx_buffer_slice(&text)), NULL);
    expect(made, "/models/A", "{}");
    expect_finding("/components/schemas/A", "too deeply");
}

static void models_that_do_not_compile_are_told(void **state) {
    (void)state;
    (void)import_yaml("{openapi: 3.1.0, info: {title: T}, paths: {}, components: {schemas: {Odd: {minimum: many}}}}");
    expect_finding("", "\"Odd\" can't be used");
}

static void many_names_and_parameters_are_capped_and_cheap(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 64 << 20);
    DX_BUFFER_LIT(&text, "openapi: 3.1.0\ninfo: {title: T}\nservers: [{url: 'https://t.example'}]\ncomponents:\n  schemas:\n");
    for (int i = 0; i < 5000; i++) dx_buffer_printf(&text, "    '%d': {}\n", i % 2 ? -i : i);
    DX_BUFFER_LIT(&text, "paths:\n");
    for (int i = 0; i < 5000; i++) dx_buffer_printf(&text, "  /p%d: {get: {operationId: same}}\n", i);
    DX_BUFFER_LIT(&text, "  /many:\n    get:\n      parameters:\n");
    for (int i = 0; i < 300; i++) dx_buffer_printf(&text, "        - {name: p%d, in: query}\n", i);
    yyjson_val *made = import_value(read_yaml(dx_buffer_slice(&text)), NULL);
    assert_int_equal(counts.endpoints, 5001);
    assert_int_equal(counts.models, 5000);
    assert_int_equal(yyjson_obj_size(dx_json_at(made, DX_SLICE("/apis/t/endpoints/v1/get_many/params"))), DX_IMPORT_PARAMS_CAP);
    assert_true(findings.count > 4999);
}

static void parts_of_parts_of_bodies_are_capped(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    DX_BUFFER_LIT(&text, "components: {schemas: {E: {properties: {deepest: {}}}");
    for (int i = 0; i < 7; i++) {
        dx_buffer_printf(&text, ", P%d: {allOf: [", i);
        for (int j = 0; j < 100; j++)
            dx_buffer_printf(&text, "{$ref: '#/components/schemas/%s%.0d'}, ", i < 6 ? "P" : "E", i < 6 ? i + 1 : 0);
        DX_BUFFER_LIT(&text, "]}");
    }
    DX_BUFFER_LIT(&text, "}}");
    dx_buffer_byte(&text, '\0');
    yyjson_val *made =
        import_operation("3.1.0", "requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/P0'}}}}", text.data);
    expect(made, ENDPOINT "/params", "{'deepest':{'in':'body','type':'str'}}");
    expect_finding("/components/schemas/P6/allOf/89", "one part too many");
}

static void a_document_of_the_wrong_shape_is_taken_as_far_as_it_goes(void **state) {
    (void)state;
    const char *const odd[] = {
        "paths: []",
        "paths: {/a: 1}",
        "paths: {/a: {get: 1}}",
        "paths: {/a: {get: {parameters: 1}}}",
        "paths: {/a: {get: {parameters: [1, {name: 1, in: 2}]}}}",
        "paths: {/a: {get: {requestBody: 1, responses: 1}}}",
        "paths: {/a: {get: {requestBody: {content: []}, responses: {200: 1}}}}",
        "paths: {/a: {get: {requestBody: {content: {application/json: {schema: 1}}}, responses: {200: {content: {application/json: 1}}}}}}",
        "paths: {/a: {get: {responses: {200: {content: {application/json: {schema: 1}}}}}}}",
        "components: 1",
        "components: {schemas: []}",
        "components: {schemas: {a: 1, b: [], c: {properties: 1, allOf: 1, items: 1, required: 1, format: 1, pattern: 1}}}",
        "servers: 1",
        "servers: [1]",
        "servers: [{url: 1, variables: 1}]",
        "security: 1",
        "security: [1]",
        "security: [{a: 1}]",
        "info: 1",
        "info: {title: 1, version: {}}",
        "components: {securitySchemes: 1}",
        "security: [{a: 1}], components: {securitySchemes: {a: 1}}",
        "paths: {'/a{': {get: {}}, '/b{}': {get: {}}, '/c}': {get: {}}}"};
    for (size_t i = 0; i < DX_COUNT_OF(odd); i++) (void)import_yaml(dx_arena_printf(arena, "{openapi: 3.0.0, %s}", odd[i]).data);
}

static void no_memory_is_said(void **state) {
    (void)state;
    yyjson_val *document = read_yaml(dx_slice_str(petstore));
    for (uint64_t n = 1;; n++) {
        yyjson_mut_doc *made;
        dx_memory_fail_at(n, false);
        dx_arena *own = dx_arena_create((size_t)256 << 20);
        dx_status status = own ? dx_import_openapi(&made, &counts, own, document, NULL, NULL) : DX_NO_MEMORY;
        bool failed = dx_memory_fail_stop();
        assert_true(status == DX_NO_MEMORY || status == DX_OK);
        if (status == DX_OK) assert_int_equal(counts.endpoints, 3);
        dx_arena_destroy(own);
        if (!failed) break;
        assert_true(n < 10000);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(operations_become_endpoints),
        TEST(names_and_urls_can_be_given),
        TEST(relative_servers_are_resolved_or_asked_for),
        TEST(what_else_than_openapi_3_is_refused),
        TEST(schemas_become_json_schema_2020_12),
        TEST(parameters_get_types_or_schemas),
        TEST(parameters_that_are_named_alike_are_told_apart),
        TEST(bodies_become_parameters_models_or_media_types),
        TEST(the_first_success_is_the_answers_model),
        TEST(security_schemes_become_auth_without_secrets),
        TEST(names_that_collide_are_numbered_and_told),
        TEST(references_that_lead_nowhere_out_or_round_are_told),
        TEST(what_has_no_place_is_told),
        TEST(no_reference_gets_into_the_settings),
        TEST(what_is_too_deep_for_a_definition_is_told),
        TEST(models_that_do_not_compile_are_told),
        TEST(many_names_and_parameters_are_capped_and_cheap),
        TEST(parts_of_parts_of_bodies_are_capped),
        TEST(a_document_of_the_wrong_shape_is_taken_as_far_as_it_goes),
        TEST(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
