"""The doctor: is this run healthy? Checks before the first step, on the epochs' figures, after.

    examine(plan, catalog) -> [Finding]     before: the data, the settings and the base
    follow(history, plan)  -> [Finding]     during: what the epochs brought

What judged queries show of the tuned matcher is `xmodal/evaluation/health.py`. A check is a
function of what was gathered; its threshold stands beside it with its reason.
"""
