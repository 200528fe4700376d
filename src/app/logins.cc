#include "app/logins.h"

#include "app/trusted_file.h"
#include "base/aead.h"

namespace sluice::app {

gateway::LoginStore open_logins(const Home& home, FileSystem& files, Entropy& entropy) {
  const auto key = [&home, &files, &entropy]() -> Result<Secret> {
    SLUICE_CHECK(home.make_key(files, home.logins_key(), kKeySize, entropy));
    return load_trusted_key(home.logins_key());
  };
  return {std::make_shared<SystemFileSystem>(), home.logins(), key};
}

}  // namespace sluice::app
