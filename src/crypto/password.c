// Password hashes. Argon2id does the work; its memory is mapped for one hash and unmapped right after, so a burst of logins leaves nothing
// behind, and a mapping that the system refuses fails that login alone. The PHC form is read and written here, because libargon2's own
// reader goes through malloc, which keeps what it once had.
#include "crypto/password.h"

#include "base/memory.h"
#include <argon2.h>
#include <crypt.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"

enum { SALT_SIZE = 16, TAG_SIZE = 32, FIELD_CAP = 64 };

// What a stored hash may ask for: far over any sane setting, low enough that a damaged row cannot take the machine.
#define MEMORY_KIB_CAP (1u << 20)
#define PASSES_CAP     64u
#define LANES_CAP      64u

typedef struct phc {
    dx_password_cost cost;
    uint8_t salt[FIELD_CAP + 3], tag[FIELD_CAP + 3];
    size_t salt_size, tag_size;
} phc;

// --- Argon2id ---------------------------------------------------------------------------------------------------------------

static int map_memory(uint8_t **memory, size_t size) {
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *memory = mapped == MAP_FAILED ? NULL : mapped;
    return *memory ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void unmap_memory(uint8_t *memory, size_t size) {
    munmap(memory, size);
}

// NOLINTNEXTLINE(readability-non-const-parameter): argon2id_ctx writes to it
static dx_status argon2id(uint8_t *tag, size_t tag_size, dx_slice password, const uint8_t *salt, size_t salt_size,
                          const dx_password_cost *cost) {
    argon2_context context = {
        .out = tag,
        .outlen = (uint32_t)tag_size,
        .pwd = (uint8_t *)password.data, // not written to: no ARGON2_FLAG_CLEAR_PASSWORD
        .pwdlen = (uint32_t)password.size,
        .salt = (uint8_t *)salt,
        .saltlen = (uint32_t)salt_size,
        .t_cost = cost->passes,
        .m_cost = cost->memory_kib,
        .lanes = cost->lanes,
        .threads = 1, // the work is on a pool thread already
        .version = ARGON2_VERSION_13,
        .allocate_cbk = map_memory,
        .free_cbk = unmap_memory,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    switch (argon2id_ctx(&context)) {
    case ARGON2_OK:
        return DX_OK;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
        return DX_NO_MEMORY;
    default:
        return DX_INVALID;
    }
}

// --- the PHC string: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>, base64 without padding -------------------------------------

static bool read_field(uint8_t *out, size_t *size, dx_slice text) {
    char padded[FIELD_CAP / 3 * 4 + 4];
    if (text.size == 0 || text.size > sizeof padded - 4 || text.size % 4 == 1 || dx_slice_find(text, '=') != SIZE_MAX) return false;
    memcpy(padded, text.data, text.size);
    size_t total = text.size;
    while (total % 4) padded[total++] = '=';
    return dx_base64_decode(out, size, dx_slice_of(padded, total), false);
}

static bool read_number(dx_slice *params, const char *name, uint32_t low, uint32_t high, uint32_t *out) {
    dx_slice value = dx_slice_cut(params, ',');
    uint64_t number;
    if (!dx_slice_starts(value, dx_slice_str(name)) || !dx_slice_to_u64(dx_slice_from(value, strlen(name)), &number)) return false;
    *out = (uint32_t)number;
    return number >= low && number <= high;
}

static bool phc_read(phc *out, dx_slice text) {
    static const dx_slice prefix = DX_SLICE_INIT("$argon2id$v=19$");
    if (!dx_slice_starts(text, prefix)) return false;
    dx_slice rest = dx_slice_from(text, prefix.size), params = dx_slice_cut(&rest, '$');
    if (!read_number(&params, "m=", ARGON2_MIN_MEMORY, MEMORY_KIB_CAP, &out->cost.memory_kib)) return false;
    if (!read_number(&params, "t=", 1, PASSES_CAP, &out->cost.passes)) return false;
    if (!read_number(&params, "p=", 1, LANES_CAP, &out->cost.lanes) || params.data) return false;
    dx_slice salt = dx_slice_cut(&rest, '$');
    return read_field(out->salt, &out->salt_size, salt) && out->salt_size >= ARGON2_MIN_SALT_LENGTH &&
           read_field(out->tag, &out->tag_size, rest) && out->tag_size >= SALT_SIZE;
}

static dx_status phc_write(char out[DX_PASSWORD_HASH_CAP], const phc *from) {
    char salt[FIELD_CAP / 3 * 4 + 4], tag[FIELD_CAP / 3 * 4 + 4];
    size_t salt_size = dx_base64_encode(salt, from->salt, from->salt_size, false);
    size_t tag_size = dx_base64_encode(tag, from->tag, from->tag_size, false);
    while (salt_size && salt[salt_size - 1] == '=') salt_size--;
    while (tag_size && tag[tag_size - 1] == '=') tag_size--;
    int size = snprintf(out, DX_PASSWORD_HASH_CAP, "$argon2id$v=19$m=%u,t=%u,p=%u$%.*s$%.*s", from->cost.memory_kib, from->cost.passes,
                        from->cost.lanes, (int)salt_size, salt, (int)tag_size, tag);
    return size > 0 && size < DX_PASSWORD_HASH_CAP ? DX_OK : DX_INTERNAL;
}

dx_status dx_password_hash(char out[DX_PASSWORD_HASH_CAP], dx_slice password, const dx_password_cost *cost) {
    if (password.size > DX_PASSWORD_BYTES_CAP) return DX_TOO_LARGE;
    if (cost->memory_kib > MEMORY_KIB_CAP || cost->passes > PASSES_CAP || cost->lanes > LANES_CAP) return DX_INVALID;
    phc made = {.cost = *cost, .salt_size = SALT_SIZE, .tag_size = TAG_SIZE};
    dx_random_bytes(made.salt, SALT_SIZE);
    dx_status status = argon2id(made.tag, TAG_SIZE, password, made.salt, SALT_SIZE, cost);
    if (status == DX_OK) status = phc_write(out, &made);
    dx_secret_wipe(&made, sizeof made);
    return status;
}

// --- bcrypt -----------------------------------------------------------------------------------------------------------------

// $2a$, $2b$ or $2y$ with a cost of two digits and 53 characters; a cost over 16 would hold a pool thread for seconds.
static bool is_bcrypt(dx_slice hash) {
    uint64_t rounds;
    return hash.size == 60 && hash.data[0] == '$' && hash.data[1] == '2' && strchr("aby", hash.data[2]) && hash.data[2] &&
           hash.data[3] == '$' && hash.data[6] == '$' && dx_slice_to_u64(dx_slice_of(hash.data + 4, 2), &rounds) && rounds >= 4 &&
           rounds <= 16;
}

static dx_status verify_bcrypt(dx_slice hash, dx_slice password) {
    // crypt(3) takes strings: a password with a NUL in it can be no match.
    if (password.size && memchr(password.data, 0, password.size)) return DX_BAD_CREDENTIALS;
    dx_status status = DX_NO_MEMORY;
    char setting[61], phrase[DX_PASSWORD_BYTES_CAP + 1];
    struct crypt_data *data = dx_memory_zalloc(1, sizeof *data);
    if (!data) return status;
    memcpy(setting, hash.data, 60);
    setting[60] = 0;
    if (password.size) memcpy(phrase, password.data, password.size);
    phrase[password.size] = 0;
    const char *made = crypt_rn(phrase, setting, data, sizeof *data);
    status = made && dx_secret_equal(dx_slice_str(made), hash) ? DX_OK : DX_BAD_CREDENTIALS;
    dx_secret_wipe(phrase, sizeof phrase);
    dx_secret_wipe(data, sizeof *data);
    dx_memory_free(data);
    return status;
}

// --- verifying --------------------------------------------------------------------------------------------------------------

// What a hash of `cost` takes, for an account that is not there.
static dx_status spend(dx_slice password, const dx_password_cost *cost) {
    static const uint8_t salt[SALT_SIZE];
    uint8_t tag[TAG_SIZE];
    dx_status status = argon2id(tag, sizeof tag, password, salt, sizeof salt, cost);
    dx_secret_wipe(tag, sizeof tag);
    return status == DX_OK ? DX_BAD_CREDENTIALS : status;
}

dx_status dx_password_verify(dx_slice hash, dx_slice password, const dx_password_cost *cost, bool *upgrade) {
    phc stored;
    if (upgrade) *upgrade = false;
    if (password.size > DX_PASSWORD_BYTES_CAP) return DX_BAD_CREDENTIALS;
    if (is_bcrypt(hash)) {
        dx_status status = verify_bcrypt(hash, password);
        if (upgrade) *upgrade = status == DX_OK;
        return status;
    }
    if (!phc_read(&stored, hash)) return spend(password, cost);
    uint8_t tag[FIELD_CAP];
    dx_status status = argon2id(tag, stored.tag_size, password, stored.salt, stored.salt_size, &stored.cost);
    if (status == DX_OK && !dx_secret_equal(dx_slice_of((char *)tag, stored.tag_size), dx_slice_of((char *)stored.tag, stored.tag_size)))
        status = DX_BAD_CREDENTIALS;
    if (status == DX_INVALID) status = spend(password, cost);
    if (upgrade) *upgrade = status == DX_OK && memcmp(&stored.cost, cost, sizeof *cost) != 0;
    dx_secret_wipe(tag, sizeof tag);
    return status;
}
