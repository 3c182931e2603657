// Command adversity runs the tests in which faults strike, and sums up how many were
// tried, survived and lost:
//
//	go run ./internal/cmd/adversity          # a few minutes
//	go run ./internal/cmd/adversity -long    # more than an hour
//
// It exits with 1 when anything was lost. docs/reliability.md tells what is promised,
// and which of these tests proves it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// trial is what is tried by one or more tests of a package.
type trial struct {
	area, fault string
	pkg         string
	tests       string // a pattern of their names

	tried int
	ran   bool
	bad   []string // the tests that failed
	skips []string // why some did not run
}

const (
	snapshots = "./snapshot"
	files     = "./internal/snapfile"
	seeding   = "./bulk"
	servers   = "./fixtures/internal/cluster"
	journal   = "./internal/track"
	guards    = "./internal/guard"
)

var trials = []trial{
	{area: "Create", fault: "killed at any moment", pkg: snapshots, tests: "KilledDuringCreate|KilledDuringTheFirstCreate"},
	{area: "Create", fault: "a file operation fails", pkg: snapshots, tests: "EveryFileOperationOfCreateMayFail"},
	{area: "Create", fault: "the disk is full", pkg: snapshots, tests: "FullDisk|TheRoomIsLookedAtFirst"},
	{area: "Create", fault: "cut, cancelled, terminated, timed out, server crashed", pkg: snapshots, tests: "FaultsDuringCreate"},
	{area: "Create", fault: "folders: read-only, vanishing, links", pkg: snapshots, tests: "AFolderThat.*|AFileOfAnotherUser|NothingIsWrittenThroughALink|TheFallbackFolder|ALockFileThatIsRemoved|FilesThatAreNoFiles"},
	{area: "Restore", fault: "killed, cancelled, terminated, cut, by each way", pkg: snapshots, tests: "FaultsByEachWay|KilledDuringRestore|ConnectionCutDuringRestore|BackendTerminatedDuringRestore|ALostConnectionIsTriedAgain"},
	{area: "Restore", fault: "the server crashes", pkg: snapshots, tests: "ServerCrashesDuringRestore"},
	{area: "Restore", fault: "the server's disk is full", pkg: snapshots, tests: "TheServersDiskIsFull"},
	{area: "Restore", fault: "no connection is free", pkg: snapshots, tests: "TooManyConnections"},
	{area: "Restore", fault: "locks, writers in flight, deadlocks", pkg: snapshots, tests: "ADeadlockIsTriedAgain|.*WritersInFlight.*|PreparedTransactions.*|CreateAndEnsureWait.*|NobodyTruncates.*"},
	{area: "Journal", fault: "random statements of all kinds", pkg: journal, tests: "Chaos"},
	{area: "Journal", fault: "crash, copies, other servers, wraparound, histories", pkg: journal, tests: "WhatTheServerDoes|Rules|ChaosNeedsEveryRule"},
	{area: "Seeding", fault: "cut, terminated, the answer to COMMIT lost", pkg: seeding, tests: "Cut.*|ACommit.*|TerminatedInTheMidst|FailureInTheMiddle.*|NothingIsLeftOfACut|RefusedConnections.*|TheConnectionCanBeUsedAfterAnyError"},
	{area: "Seeding", fault: "processes side by side", pkg: seeding, tests: "ManyAtOnceNeverCollide|ProcessesAtOnceNeverCollide"},
	{area: "Files", fault: "damage of every sort", pkg: files, tests: ".*"},
	{area: "Files", fault: "replaced while they are read, forged", pkg: snapshots, tests: "AFileThatIsReplacedWhileItIsRead|AForgedManifest"},
	{area: "Side by side", fault: "many processes, the same names", pkg: snapshots, tests: "ManyProcessesOnTheSameNames|SixteenProcesses.*|ABuilderThatIsKilled.*|OneBuildsAndTheOthersWait"},
	{area: "Side by side", fault: "clones, used again", pkg: snapshots, tests: "ManyClones|Clones.*"},
	{area: "Servers", fault: "their owners are killed", pkg: servers, tests: ".*[Kk]illed.*|SharingMeets.*|ManyProcessesShare"},
	{area: "Wrong use", fault: "silly arguments", pkg: snapshots, tests: "Misuse.*"},
	{area: "Wrong use", fault: "silly arguments", pkg: seeding, tests: "Misuse.*|BadParameters.*|OptionsAreChecked.*|OfficesOfAnother.*|Misfits.*|CancelledContext|Guard|PanicOf.*|GoexitInUserCode|WorksInCleanup|ConnectionInATransactionIsRefused"},
	{area: "Wrong use", fault: "silly arguments", pkg: "./fixtures", tests: "Misuse.*|OptionsThat.*|FunctionsThatDoNotReturn|.*Panic.*|.*Refused"},
	{area: "Hostile schema", fault: "names, shadowing, triggers, rights", pkg: snapshots, tests: "Hostile.*|.*Odd.*|AnyModeOfQueries|TrackingIsInNobodysWay|EventTriggersThatObject|PrivilegesThatWereRevoked"},
	{area: "Hostile schema", fault: "names, shadowing, triggers", pkg: seeding, tests: "Hostile.*|.*Odd.*"},
	{area: "Guard", fault: "names made to fool it", pkg: guards, tests: ".*"},
	{area: "Guard", fault: "a standby takes no changes", pkg: snapshots, tests: "Standby"},
	{area: "Guard", fault: "a standby takes no changes", pkg: seeding, tests: "Standby|ReadOnly"},
}

func main() {
	long := flag.Bool("long", false, "try far more faults, which takes more than an hour")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "adversity: there are no arguments but -long")
		os.Exit(2)
	}
	began := time.Now()
	for i := range trials {
		t := &trials[i]
		fmt.Fprintf(os.Stderr, "%s: %s (%s)\n", t.area, t.fault, t.pkg)
		if err := t.run(*long); err != nil {
			fmt.Fprintln(os.Stderr, "adversity:", err)
			os.Exit(1)
		}
	}
	if lost := report(os.Stdout); lost > 0 {
		os.Exit(1)
	}
	fmt.Printf("in %s\n", time.Since(began).Round(time.Second))
}

// event is a line of go test -json.
type event struct{ Action, Test, Output string }

var triedPattern = regexp.MustCompile(`fault: (\d+) tried`)

// run runs the tests, and reads what they tell.
func (t *trial) run(long bool) error {
	args := []string{"test", "-json", "-count=1", "-timeout=0", "-run=^Test(" + t.tests + ")$", t.pkg}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	if long {
		cmd.Env = append(os.Environ(), "GROUNDHOG_LONG=1", "GROUNDHOG_STEPS=1000000")
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := map[string]*strings.Builder{}
	counted, leaves := map[string]bool{}, map[string]bool{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var e event
		if err != nil || json.Unmarshal(line, &e) != nil || e.Test == "" {
			continue
		}
		if said[e.Test] == nil {
			said[e.Test] = &strings.Builder{}
		}
		switch e.Action {
		case "output":
			said[e.Test].WriteString(e.Output)
			if m := triedPattern.FindStringSubmatch(e.Output); m != nil {
				n, _ := strconv.Atoi(m[1])
				t.tried += n
				counted[e.Test] = true
			}
		case "pass", "fail":
			t.ran = true
			leaves[e.Test] = true
			if e.Action == "fail" {
				t.bad = append(t.bad, e.Test)
				fmt.Fprintf(os.Stderr, "%s\n", said[e.Test])
			}
		case "skip":
			t.skips = append(t.skips, e.Test)
		}
	}
	// A test that counts nothing is one fault, or as many as it has subtests.
	for test := range leaves {
		inner := func(other string) bool { return strings.HasPrefix(other, test+"/") }
		outer := func(other string) bool { return other == test || strings.HasPrefix(test, other+"/") }
		if !has(leaves, inner) && !has(counted, outer) && !has(counted, inner) {
			t.tried++
		}
	}
	if err := cmd.Wait(); err != nil && len(t.bad) == 0 {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func has(tests map[string]bool, want func(string) bool) bool {
	for test := range tests {
		if want(test) {
			return true
		}
	}
	return false
}

// report prints the table, and returns how many trials lost something.
func report(w io.Writer) (lost int) {
	out := table.NewWriter()
	out.SetOutputMirror(w)
	out.AppendHeader(table.Row{"Area", "Fault", "Tried", "Survived", "Lost"})
	tried, failed := 0, 0
	for _, t := range trials {
		bad := len(t.bad)
		switch {
		case bad > 0:
			lost++
		case !t.ran:
			out.AppendRow(table.Row{t.area, t.fault + " (not here: skipped)", 0, 0, 0})
			continue
		}
		tried, failed = tried+t.tried, failed+bad
		out.AppendRow(table.Row{t.area, t.fault, t.tried, t.tried - bad, bad})
	}
	out.AppendFooter(table.Row{"", "", tried, tried - failed, failed})
	out.Render()
	for _, t := range trials {
		for _, test := range t.bad {
			fmt.Fprintf(w, "lost: %s %s\n", t.pkg, test)
		}
	}
	return lost
}
