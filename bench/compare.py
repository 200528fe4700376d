"""Whether a run of `./dev bench` lost against a saved one. What is compared are ratios of one run (CPU time to that of the row's
limit, which did the same work beside it), since times alone say more about the machine than about the program; and memory, which
depends on it little. Saved runs are the JSON of `--save`, with the machine they were measured on."""
import json
import pathlib

TOLERATED = 0.10
VERSION = 1


def save(path, results, header):
    pathlib.Path(path).write_text(json.dumps({"version": VERSION, "header": header, "rows": results}, indent=1) + "\n")


def load(path):
    """The saved run; RuntimeError with a sentence if it is none."""
    try:
        saved = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise RuntimeError(f"{path} is no saved run: {error}") from error
    if not isinstance(saved, dict) or saved.get("version") != VERSION or not isinstance(saved.get("rows"), dict):
        raise RuntimeError(f"{path} is no run that `./dev bench --save` wrote")
    return saved


def ours(peer):
    return peer == "sluice" or peer.startswith("sluice-")


def figures(measured, limit):
    """{what: number} of a row's peers that are Sluice; smaller is better."""
    out = {}
    for peer, result in measured.items():
        if not ours(peer) or "note" in result:
            continue
        reference = measured.get(limit, {})
        if peer != limit and "cpu_us" in result and reference.get("cpu_us"):
            out[f"{peer}, CPU time as a ratio to {limit}"] = result["cpu_us"] / reference["cpu_us"]
        if "kib_each" in result:
            out[f"{peer}, KiB for each"] = result["kib_each"]
    return out


def compare(before, now, limits):
    """(lines, losses) of two {row: {peer: result}}; `limits` names the peer that each row is measured by. What counted and does
    not any more is a loss, too. What this run left out, or the saved one did not have, is none; without anything to compare
    there are no lines."""
    lines, losses = [], []
    for row, measured in now.items():
        limit = limits[row]
        new = figures(measured, limit)
        for what, was in figures(before.get(row, {}), limit).items():
            if what in new:
                change = new[what] / was - 1
                lost = change > TOLERATED
                lines.append(f"{row}: {what}: {was:.3g} before, {new[what]:.3g} now ({change:+.0%})")
            else:
                peers = [what.partition(",")[0]] + ([limit] if "ratio" in what else [])
                if any(peer not in measured for peer in peers):
                    continue
                lost = True
                lines.append(f"{row}: {what}: {was:.3g} before, does not count now")
            if lost:
                losses.append(lines[-1])
    return lines, losses
