// `sluice sessions export|import|decrypt`: recordings as files of other programs. Print, and return the exit code.
#pragma once

#include "app/config.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "session/session.h"

namespace sluice::app {

int export_session_file(session::Store& store, const Config& config, Entropy& entropy);
int import_session_file(session::Store& store, const Config& config, const Clock& clock);
// A file that proxy_export_har left beside an encrypted recording, in its har/.
int decrypt_session_file(FileSystem& files, const Config& config, const session::OperatorKeyPtr& key);

}  // namespace sluice::app
