package entractl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxAnswers bounds what is read as answers to questions.
const maxAnswers = 64 << 10

// Terminal is the person at the other end. The zero value is nobody: nothing is asked, nothing is coloured and
// progress is plain lines.
type Terminal struct {
	// In says that Stdin is a terminal, so that somebody answers.
	In bool
	// Out says that Stdout is one, so that it may show colours and bars.
	Out bool
	// ReadSecret reads a line from Stdin without showing it, and ends early when ctx is done. Nil: Stdin is read
	// as for any other question.
	ReadSecret func(ctx context.Context) (string, error)
}

// SystemTerminal finds out who is at the other end of the files.
func SystemTerminal(in, out *os.File) Terminal {
	t := Terminal{In: term.IsTerminal(int(in.Fd())), Out: term.IsTerminal(int(out.Fd()))}
	if t.In {
		t.ReadSecret = func(ctx context.Context) (string, error) { return readSecret(ctx, int(in.Fd())) }
	}
	return t
}

func readSecret(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("preparing the terminal: %w", err)
	}
	text, err := await(ctx, func() (string, error) {
		line, err := term.ReadPassword(terminal)
		return string(line), err
	})
	if errors.Is(err, errInterrupted) {
		// The read still holds the terminal, without its echo.
		return "", errors.Join(err, term.Restore(terminal, before))
	}
	return text, err
}

// await reads until ctx is done. A read of a terminal cannot be ended: it is left to end with the program.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// caller is what a command runs with. It is used by one command and one goroutine.
type caller struct {
	Process
	target  *target
	answers *bufio.Reader // made at the first question
}

// fancy reports whether Stdout obeys control sequences.
func (c *caller) fancy() bool { return c.Terminal.Out && c.getenv("TERM") != "dumb" }

func (c *caller) getenv(name string) string {
	if c.Getenv == nil {
		return ""
	}
	return c.Getenv(name)
}

// note tells the person something beside the result.
func (c *caller) note(format string, values ...any) {
	fmt.Fprintf(c.Stderr, "entractl: "+format+"\n", values...)
}

// ask returns the answer to a question, without the spaces around it.
func (c *caller) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(c.Stderr, question)
	if c.answers == nil {
		c.answers = bufio.NewReader(io.LimitReader(c.stdin(), maxAnswers))
	}
	text, err := await(ctx, func() (string, error) { return c.answers.ReadString('\n') })
	if err != nil && (!errors.Is(err, io.EOF) || text == "") {
		fmt.Fprintln(c.Stderr)
		if errors.Is(err, io.EOF) {
			return "", errNoAnswer
		}
		return "", err
	}
	return strings.TrimSpace(text), nil
}

// askSecret is ask for what must not be seen.
func (c *caller) askSecret(ctx context.Context, question string) (string, error) {
	if c.Terminal.ReadSecret == nil {
		return c.ask(ctx, question)
	}
	fmt.Fprint(c.Stderr, question)
	text, err := c.Terminal.ReadSecret(ctx)
	fmt.Fprintln(c.Stderr)
	if errors.Is(err, io.EOF) {
		return "", errNoAnswer
	}
	return strings.TrimSpace(text), err
}

// confirm returns nil if the person agrees, or has agreed with --yes.
func (c *caller) confirm(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.Terminal.In {
		return errNeedsYes
	}
	answer, err := c.ask(ctx, question+" [y/N] ")
	if errors.Is(err, errInterrupted) || err == nil && !isYes(answer) {
		return errDeclined
	}
	return err
}

func (c *caller) stdin() io.Reader {
	if c.Stdin == nil {
		return strings.NewReader("")
	}
	return c.Stdin
}

func isYes(answer string) bool {
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

func isNo(answer string) bool {
	return answer == "" || strings.EqualFold(answer, "n") || strings.EqualFold(answer, "no")
}

var (
	errNoAnswer = errors.New("the input ended without an answer: nothing was changed")
	errDeclined = errors.New("nothing was changed")
	errNeedsYes = usageError{errors.New("nobody can be asked here: say --yes to go on without")}
)
