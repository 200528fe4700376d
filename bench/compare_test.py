"""python3 -m unittest discover -s bench -p '*_test.py'"""
import json
import pathlib
import tempfile
import unittest

import compare

LIMITS = {"1k": "nginx", "rules": "sluice", "idle": "relay"}
BEFORE = {
    "1k": {"nginx": {"cpu_us": 25.0, "rps": 1.0}, "sluice": {"cpu_us": 20.0, "rps": 1.0}, "squid": {"cpu_us": 70.0}},
    "rules": {"sluice": {"cpu_us": 20.0}, "sluice-hosts": {"cpu_us": 21.0}},
    "idle": {"relay": {"kib_each": 69.0}, "sluice": {"kib_each": 36.0}},
}


def run(**changes):
    """BEFORE again, with {row__peer: {field: value}} in place of what was measured."""
    out = {row: {peer: dict(result) for peer, result in peers.items()} for row, peers in BEFORE.items()}
    for where, result in changes.items():
        row, _, peer = where.partition("__")
        out[row][peer.replace("_", "-")] = result
    return out


class Comparing(unittest.TestCase):
    def losses(self, now, before=BEFORE):
        return compare.compare(before, now, LIMITS)[1]

    def test_the_same_is_no_loss_and_every_figure_of_ours_is_named(self):
        lines, losses = compare.compare(BEFORE, run(), LIMITS)
        self.assertEqual(losses, [])
        self.assertEqual([line.split(":")[0] for line in lines], ["1k", "rules", "idle"])

    def test_a_tenth_is_borne_and_more_is_a_loss(self):
        self.assertEqual(self.losses(run(**{"1k__sluice": {"cpu_us": 21.9}})), [])
        self.assertEqual(len(self.losses(run(**{"1k__sluice": {"cpu_us": 22.1}}))), 1)
        self.assertEqual(len(self.losses(run(idle__sluice={"kib_each": 40.0}))), 1)
        self.assertEqual(len(self.losses(run(rules__sluice_hosts={"cpu_us": 23.2}))), 1)

    def test_a_slower_machine_is_none_since_ratios_count(self):
        slow = {"1k__sluice": {"cpu_us": 60.0}, "1k__nginx": {"cpu_us": 75.0}}
        self.assertEqual(self.losses(run(**slow)), [])

    def test_a_faster_limit_shows_a_loss_that_our_time_alone_would_hide(self):
        self.assertEqual(len(self.losses(run(**{"1k__nginx": {"cpu_us": 20.0}}))), 1)

    def test_what_others_lose_is_theirs(self):
        self.assertEqual(self.losses(run(**{"1k__squid": {"cpu_us": 700.0}})), [])

    def test_what_does_not_count_any_more_is_a_loss(self):
        self.assertEqual(len(self.losses(run(**{"1k__sluice": {"note": "a body was cut"}}))), 1)
        self.assertEqual(len(self.losses(run(**{"1k__nginx": {"note": "did not start"}}))), 1)
        self.assertEqual(len(self.losses(run(idle__sluice={"note": "timed out"}))), 1)

    def test_what_was_left_out_or_is_new_is_none(self):
        now = run()
        del now["idle"], now["1k"]["nginx"]
        now["rules"]["sluice-urls"] = {"cpu_us": 400.0}
        self.assertEqual(self.losses(now), [])
        self.assertEqual(self.losses(run(), {"1k": {"sluice": {"note": "cut"}, "nginx": {"cpu_us": 1.0}}}), [])
        self.assertEqual(compare.compare({}, run(), LIMITS), ([], []))


class Saved(unittest.TestCase):
    def test_what_is_saved_is_read_again_and_other_files_are_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "run.json")
            compare.save(path, BEFORE, "Measured on Monday.")
            self.assertEqual(compare.load(path)["rows"], BEFORE)
            for text in ("", "[]", "{}", json.dumps({"version": 2, "rows": {}}), json.dumps({"version": 1, "rows": []})):
                path.write_text(text)
                with self.assertRaises(RuntimeError):
                    compare.load(path)
            with self.assertRaises(RuntimeError):
                compare.load(path / "nowhere")


if __name__ == "__main__":
    unittest.main()
