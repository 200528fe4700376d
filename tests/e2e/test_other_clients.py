"""Go's and Java's own TLS accept our leaves."""
import shutil
import unittest

from harness import E2E, HERE, clean_environment, needs, run


class Go(E2E):
    def test_get(self):
        go = needs("go", "golang-go")
        program = self.directory / "get"
        environment = clean_environment(GOCACHE=self.directory / "gocache", GOFLAGS="-mod=mod", GO111MODULE="off",
                                        HOME=self.directory, GOPROXY="off", GOTOOLCHAIN="local")
        source = self.directory / "get.go"
        shutil.copy(HERE / "clients" / "get.go", source)
        built = run(go, "build", "-o", program, source, seconds=180, env=environment)
        self.assertEqual(built.returncode, 0, built.stderr)
        done = run(program, self.serve.proxy_url, self.serve.ca, self.origin.url("/hello"),
                   f"https://127.0.0.1:{self.origin.port}/hello")
        self.assertEqual(done.stdout, "200 HTTP/1.1 hello from the origin\n" * 2, done.stderr)


class Java(E2E):
    def test_get(self):
        java, keytool = needs("java", "default-jdk-headless"), needs("keytool", "default-jdk-headless")
        needs("javac", "default-jdk-headless")  # `java File.java` needs the compiler
        store = self.directory / "trust.p12"
        run(keytool, "-importcert", "-noprompt", "-trustcacerts", "-alias", "sluice", "-file", self.serve.ca, "-keystore",
            store, "-storepass", "changeit", "-storetype", "PKCS12", seconds=60, check=0)
        done = run(java, "-Xmx128m", f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit",
                   HERE / "clients" / "Get.java", self.serve.proxy_port, self.origin.url("/hello"),
                   f"https://127.0.0.1:{self.origin.port}/hello", seconds=90)
        self.assertEqual(done.stdout, "200 HTTP_1_1 hello from the origin\n" * 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
