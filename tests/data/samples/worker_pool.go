// Package pool runs jobs on a fixed number of goroutines.
package pool

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is returned by Submit after Close.
var ErrClosed = errors.New("pool: closed")

// Job is a piece of work; it should return early when its context ends.
type Job func(ctx context.Context) error

// Pool hands jobs to its workers in the order in which they were submitted.
type Pool struct {
	jobs   chan Job
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
	closed bool
}

// New starts a pool of n workers.
func New(ctx context.Context, n int) *Pool {
	p := &Pool{jobs: make(chan Job)}
	for i := 0; i < n; i++ {
		p.wg.Add(1)
		go p.work(ctx)
	}
	return p
}

// Submit waits until a worker takes the job or the context ends.
func (p *Pool) Submit(ctx context.Context, job Job) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	select {
	case p.jobs <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close lets the workers finish and returns what failed.
func (p *Pool) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
	}
	p.mu.Unlock()
	p.wg.Wait()
	return errors.Join(p.errs...)
}

func (p *Pool) work(ctx context.Context) {
	defer p.wg.Done()
	for job := range p.jobs {
		if err := job(ctx); err != nil {
			p.mu.Lock()
			p.errs = append(p.errs, err)
			p.mu.Unlock()
		}
	}
}
