// Feature: accounts and tokens. Registration, login, refresh, logout and "who am I" under /auth, and the filter that turns a bearer token
// into the exchange's principal. docs/identity.md says what is promised.
#ifndef DX_IDENTITY_IDENTITY_H
#define DX_IDENTITY_IDENTITY_H

#include "server/feature.h"

extern const dx_feature dx_identity_feature;
extern const dx_section dx_identity_section;

#endif
