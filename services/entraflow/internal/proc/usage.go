package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc: USER_HZ, 100 on every Linux architecture of Go.
const clockTick = time.Second / 100

// Positions in /proc/PID/stat after the command's name, see proc(5): state is field 3.
const (
	userTimeField   = 14 - 3
	systemTimeField = 15 - 3
)

// usageOf reads what a running process has used from /proc.
func usageOf(id int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(id)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("reading usage: %w", err)
	}
	// The command's name is in parentheses and may hold anything.
	_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(after)
	if len(fields) <= systemTimeField {
		return Usage{}, fmt.Errorf("reading usage: %s/stat has %d fields", dir, len(fields))
	}
	user, err := strconv.ParseInt(fields[userTimeField], 10, 64)
	if err != nil {
		return Usage{}, fmt.Errorf("reading usage: %w", err)
	}
	system, err := strconv.ParseInt(fields[systemTimeField], 10, 64)
	if err != nil {
		return Usage{}, fmt.Errorf("reading usage: %w", err)
	}
	peak, err := peakRSS(dir + "/status")
	return Usage{CPU: time.Duration(user+system) * clockTick, PeakRSS: peak}, err
}

func peakRSS(path string) (int64, error) {
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading usage: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading usage: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("reading usage: %s has no VmHWM", path)
}

// Self returns what this process has used.
func Self() (Usage, error) { return usageOf(os.Getpid()) }
