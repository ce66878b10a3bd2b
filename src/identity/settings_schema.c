// The JSON Schema of the section `identity`: it validates, gives the defaults, and is what `duplex schema` prints.
#include "identity/identity.h"

#define DURATION(about, value)                                                                                                             \
    "{\"description\":\"" about "\",\"type\":\"string\",\"pattern\":\"" DX_DURATION_PATTERN "\",\"default\":\"" value "\"}"
#define NUMBER(about, low, high, value)                                                                                                    \
    "{\"description\":\"" about "\",\"type\":\"integer\",\"minimum\":" low ",\"maximum\":" high ",\"default\":" value "}"
// In every token, and so in every request.
#define CLAIM(about) "{\"description\":\"" about "\",\"type\":\"string\",\"maxLength\":512,\"default\":\"\"}"
#define TEXT(about)  "{\"description\":\"" about "\",\"type\":\"string\",\"default\":\"\"}"

// clang-format off
const dx_section dx_identity_section = {
    .name = "identity",
    .schema =
    "{"
      "\"description\":\"Accounts, login and tokens. Without this section there are none of them.\","
      "\"type\":\"object\","
      "\"additionalProperties\":false,"
      "\"properties\":{"
        "\"access_token_ttl\":" DURATION("How long an access token is good.", "15m") ","
        "\"refresh_token_ttl\":" DURATION("How long a session lasts without being refreshed; every refresh starts it anew.", "7d") ","
        "\"refresh_grace\":" DURATION("A refresh token that was just exchanged may be sent again for so long, and gets the same new "
          "one: for a client that lost the answer. After that it counts as stolen and ends the session.", "5s") ","
        "\"secret\":" TEXT("The secret that signs tokens with HS256, 32 bytes or more: for when other services shall verify them. Write it "
          "as a variable, \\\"${SECRET_KEY}\\\". Empty: a key derived from the server's root secret, for this server alone.") ","
        "\"signing\":{"
          "\"description\":\"How access tokens are signed.\",\"type\":\"object\",\"additionalProperties\":false,\"default\":{},"
          "\"properties\":{"
            "\"algorithm\":{\"description\":\"HS256 uses a shared secret; the others a private key, whose public half is published at "
              "/.well-known/jwks.json.\",\"enum\":[\"HS256\",\"RS256\",\"ES256\",\"EdDSA\"],\"default\":\"HS256\"},"
            "\"key\":" TEXT("The private key as PEM text (PKCS#8). Write it as a variable, \\\"${SIGNING_KEY}\\\", or sealed.") ","
            "\"key_file\":" TEXT("A file with it instead, relative to the definition's folder.")
          "}},"
        "\"issuer\":" CLAIM("The claim iss of access tokens, and what it must be when they come back. Empty: none.") ","
        "\"audience\":" CLAIM("The claim aud, likewise.") ","
        "\"password\":{"
          "\"description\":\"What passwords must be, and what hashing them costs.\",\"type\":\"object\",\"additionalProperties\":false,"
          "\"default\":{},"
          "\"properties\":{"
            "\"min_length\":" NUMBER("Fewest characters of a new password.", "8", "128", "12") ","
            "\"max_length\":" NUMBER("Most characters of a new password.", "64", "1024", "1024") ","
            "\"cost\":{\"description\":\"Argon2id. Hashes of another cost are renewed at the next login.\",\"type\":\"object\","
              "\"additionalProperties\":false,\"default\":{},"
              "\"properties\":{"
                "\"memory_kib\":" NUMBER("Memory of one hash, in KiB.", "8", "1048576", "19456") ","
                "\"passes\":" NUMBER("Passes over the memory.", "1", "64", "2") ","
                "\"lanes\":" NUMBER("Lanes.", "1", "16", "1")
              "}}"
          "}},"
        "\"registration\":{"
          "\"description\":\"Who may make an account.\",\"type\":\"object\",\"additionalProperties\":false,\"default\":{},"
          "\"properties\":{"
            "\"open\":{\"description\":\"Anybody may, by POST /auth/register. Otherwise only the operator, by duplex users create.\","
              "\"type\":\"boolean\",\"default\":true}"
          "}},"
        "\"default_roles\":{\"description\":\"Roles of a newly registered account.\",\"type\":\"array\",\"maxItems\":16,"
          "\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64},\"default\":[\"user\"]},"
        "\"lockout\":{"
          "\"description\":\"Brakes for guessing passwords, by the name presented.\",\"type\":\"object\",\"additionalProperties\":false,"
          "\"default\":{},"
          "\"properties\":{"
            "\"after\":" NUMBER("Failures until a name is locked for the first time; 0: never.", "0", "1000", "5") ","
            "\"base_delay\":" DURATION("The first lock. Each further failure doubles it.", "5s") ","
            "\"max_delay\":" DURATION("The longest lock.", "15m") ","
            "\"forget_after\":" DURATION("Without a failure for so long, counting starts anew.", "1d")
          "}}"
      "}"
    "}",
};
// clang-format on
