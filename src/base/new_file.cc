#include "base/new_file.h"

#include <unistd.h>

#include "base/text.h"

namespace sluice {
namespace {

Error exists(const std::string& path) {
  return {Code::kConflict, repair_utf8(path) + " is there already: give another name, or remove it."};
}

}  // namespace

Result<NewFile> NewFile::create(Place place) {
  if (place.files->exists(place.path)) return fail(exists(place.path));
  const std::size_t slash = place.path.rfind('/');
  std::string part =
      place.path.substr(0, slash + 1) + "." + place.path.substr(slash + 1) + ".part" + std::to_string(::getpid());
  auto file = place.files->open(part, OpenMode::kCreateNew);
  if (!file && file.error().code == Code::kConflict) {
    return fail(Code::kConflict, repair_utf8(part) + " is there: another export is writing it, or one was cut off.");
  }
  if (!file) return fail(std::move(file.error()));
  return NewFile(std::move(place), std::move(part), *std::move(file));
}

NewFile::~NewFile() {
  if (!file_) return;
  file_.reset();
  (void)place_.files->remove(part_);
}

Status NewFile::append(Bytes octets) { return file_->append(octets); }

Status NewFile::finish() {
  SLUICE_CHECK(file_->sync());
  if (place_.files->exists(place_.path)) return fail(exists(place_.path));
  SLUICE_CHECK(place_.files->rename(part_, place_.path));
  file_.reset();
  return {};
}

}  // namespace sluice
