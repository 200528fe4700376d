"""python3 -m unittest discover -s bench -p '*_test.py'"""
import random
import unittest

import slope


def samples(per_minute, noise=0.0, saw=0.0, minutes=25):
    chance = random.Random(7)
    return [(i, 50_000 + per_minute * i + chance.gauss(0, noise) + saw * (i % 3 == 0)) for i in range(minutes)]


class Slopes(unittest.TestCase):
    def judge(self, points, tolerated=10):
        return slope.verdict(slope.slope(points), tolerated)

    def test_a_line_has_its_slope_and_no_doubt(self):
        found = slope.slope(samples(40))
        for value in (found.value, found.low, found.high):
            self.assertAlmostEqual(value, 40)

    def test_noise_and_teeth_of_a_saw_are_no_growth(self):
        self.assertEqual(self.judge(samples(0, noise=60, saw=4000)), "flat")

    def test_a_small_leak_beneath_them_is_seen(self):
        points = samples(40, noise=60, saw=4000)
        self.assertEqual(self.judge(points), "grows")
        found = slope.slope(points)
        self.assertLessEqual(found.low, 40)
        self.assertGreaterEqual(found.high, 40)

    def test_outliers_are_no_slope_of_everything(self):
        points = samples(0, noise=60)
        points[7] = (7, 900_000)
        points[15] = (15, 1)
        self.assertEqual(self.judge(points), "flat")

    def test_what_shrinks_is_flat(self):
        self.assertEqual(self.judge(samples(-300, noise=60)), "flat")

    def test_too_little_to_tell_is_called_so(self):
        self.assertEqual(self.judge(samples(0, noise=9000, minutes=5)), "unclear")

    def test_no_points_are_an_error(self):
        for points in ([], [(1, 1)], [(1, 1), (1, 2), (1, 3)]):
            with self.assertRaises(ValueError):
                slope.slope(points)


if __name__ == "__main__":
    unittest.main()
