// Feature: folders of static files (section `files`), with uploads where the definition allows them.
#ifndef DX_FILES_FILES_H
#define DX_FILES_FILES_H

#include "server/feature.h"

extern const dx_feature dx_files_feature;

#endif
