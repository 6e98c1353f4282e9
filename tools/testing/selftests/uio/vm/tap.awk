# SPDX-License-Identifier: GPL-2.0
#
# Read what init.c reports, print one line per test case:
#
#	pass|fail|skip <TAB> program <TAB> case <TAB> reason
#
# Subtests are indented and their parent's line comes after them: a parent is
# no case of its own, unless it failed while none of its subtests did.

function emit(verdict, name, reason) {
	if (verdict == "fail")
		failures++
	cases++
	printf "%s\t%s\t%s\t%s\n", verdict, prog, name, reason
}

function check_plan(indent) {
	if ((indent in plan) && plan[indent] != results[indent] + 0)
		emit("fail", "plan", plan[indent] " cases planned, " \
			results[indent] + 0 " reported")
	delete plan[indent]
	delete results[indent]
}

/^@@ begin / {
	prog = $3
	last = cases = failures = 0
	delete plan
	delete results
	next
}

/^@@ end / {
	check_plan(0)
	status = $4 " " $5
	if (status == "exit 0") {
		if (!cases)
			emit("pass", "exit status", "")
	} else if (status == "exit 4" && !failures) {
		if (!cases)
			emit("skip", "exit status", "exit 4")
	} else if (!failures) {
		emit("fail", "exit status", status)
	}
	prog = "-"
	next
}

/^@@ kernel / {
	prog = $3
	sub(/^@@ kernel [^ ]+ /, "")
	gsub(/\t/, " ")
	emit("fail", "kernel log", $0)
	next
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
	gsub(/\t/, " ", reason)

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
