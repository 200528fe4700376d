// Private to tls: where OpenSSL's memory comes from. With SSL_MODE_RELEASE_BUFFERS it takes a buffer of 16 to 66 KiB
// for each record and gives it back at once, so that an idle connection holds none. malloc serves such sizes slowly
// and, when a thread's heap shrinks and grows again, with system calls and page faults. Here each thread keeps the few
// that were freed last: all its connections share the same warm memory. Everything else goes to malloc.
#pragma once

namespace sluice::tls {

// Before OpenSSL's first allocation in the process; later it is without effect. Thread-safe.
void keep_record_buffers();

}  // namespace sluice::tls
