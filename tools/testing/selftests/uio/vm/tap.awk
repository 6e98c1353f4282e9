# SPDX-License-Identifier: GPL-2.0
#
# Read what init.c reports, print one line per test case:
#
#	pass|fail|skip <TAB> program <TAB> case <TAB> reason
#
# Subtests are indented and their parent's line comes after them: a parent is
# no case of its own, unless it failed while none of its subtests did.
#
# First comes the file of failures that are right: program | case | why. They
# count as skipped.

function emit(verdict, name, reason,	i) {
	cases++
	name = section name
	for (i = 1; verdict == "fail" && i <= exceptions; i++) {
		if (prog == exception_prog[i] && name ~ "^" exception_case[i] "$") {
			expected++
			verdict = "skip"
			reason = exception_why[i]
		}
	}
	if (verdict == "fail")
		failures++
	if (verdict != "fail" || reason != "")
		hint = ""
	if (hint != "")
		reason = hint
	gsub(/\t/, " ", reason)
	hint = ""
	printf "%s\t%s\t%s\t%s\n", verdict, prog, name, reason
}

function check_plan(indent) {
	if ((indent in plan) && plan[indent] != results[indent] + 0)
		emit("fail", "plan", plan[indent] " cases planned, " \
			results[indent] + 0 " reported")
	delete plan[indent]
	delete results[indent]
}

FNR == NR {
	if (!/^#/ && split($0, field, / *\| */) == 3) {
		exception_prog[++exceptions] = field[1]
		exception_case[exceptions] = field[2]
		exception_why[exceptions] = field[3]
	}
	next
}

/^@@ begin / {
	prog = $3
	section = hint = ""
	last = cases = failures = expected = 0
	delete plan
	delete results
	next
}

/^@@ end / {
	section = hint = ""
	check_plan(0)
	status = $4 " " $5
	if (status == "exit 0") {
		if (!cases)
			emit("pass", "exit status", "")
	} else if (status == "exit 4" && !failures) {
		if (!cases)
			emit("skip", "exit status", "exit 4")
	} else if (!failures && !expected) {
		emit("fail", "exit status", status)
	}
	prog = "-"
	next
}

/^@@ kernel / {
	prog = $3
	section = hint = ""
	sub(/^@@ kernel [^ ]+ /, "")
	emit("fail", "kernel log", $0)
	next
}

# The same cases again for each heap.
/^# Testing heap: / {
	section = $4 ": "
	next
}

# Where an assertion failed: of the harness of selftests, of KUnit.
hint == "" && /^# [^ ]+\.[ch]:[0-9]+:/ {
	hint = substr($0, 3)
}
hint == "" && /(EXPECTATION|ASSERTION) FAILED at / {
	hint = $0
	sub(/.*FAILED at /, "", hint)
	lines = 2
	next
}
lines > 0 {
	lines--
	text = $0
	sub(/^ */, "", text)
	hint = hint " " text
}

/^Bail out!/ {
	emit("fail", "bail out", $0)
	next
}

/^ *1\.\.[0-9]+/ {
	indent = match($0, /[^ ]/) - 1
	plan[indent] = substr($1, 4) + 0
	if (plan[indent] == 0) {
		reason = $0
		sub(/^[^#]*# *SKIP */, "", reason)
		emit("skip", "all", reason)
	}
	next
}

/^ *(not )?ok [0-9]+/ {
	indent = match($0, /[^ ]/) - 1
	good = $1 == "ok"
	name = $0
	sub(/^ *(not )?ok [0-9]+ *(- )?/, "", name)
	reason = ""
	if (match(name, /# *[A-Za-z]+/)) {
		reason = substr(name, RSTART + 1)
		name = substr(name, 1, RSTART - 1)
		sub(/^ */, "", reason)
	}
	sub(/ *$/, "", name)
	gsub(/\t/, " ", name)

	results[indent]++
	parent = last > indent
	if (parent)
		check_plan(last)
	last = indent

	if (reason ~ /^SKIP/)
		emit("skip", name, substr(reason, 6))
	else if (!good && !(parent && failures))
		emit("fail", name, reason)
	else if (good && !parent)
		emit("pass", name, "")
}
