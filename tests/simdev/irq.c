// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt vectors: a callback in hard interrupt context, on another CPU than
 * the device's thread where there is one, as real ones would come.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>

#include "core.h"

/* A CPU that has taken no interrupt for so long, or is still at it, never ends. */
#define SIM_IRQ_WAIT_MS	(60 * MSEC_PER_SEC)

static void sim_irq_handle(struct sim_irq *irq)
{
	/* As those of a real device may be: lockdep judges locks by it. */
	lockdep_hardirq_threaded();
	clear_bit(0, &irq->pending);
	/* Not pending any more before we look at what it is about. */
	smp_mb__after_atomic();
	irq->deliver(irq);
	if (atomic_add_unless(&irq->storm, -1, 0))
		sim_irq_raise(irq);
	/* What it has done is done for who sees that it is over. */
	atomic_dec_return_release(&irq->in_flight);
}

static void sim_irq_csd(void *data)
{
	sim_irq_handle(data);
}

static void sim_irq_work(struct irq_work *work)
{
	sim_irq_handle(container_of(work, struct sim_irq, work));
}

/**
 * sim_irq_init() - prepare a vector
 * @irq: the vector
 * @deliver: called in hard interrupt context
 */
void sim_irq_init(struct sim_irq *irq, void (*deliver)(struct sim_irq *irq))
{
	irq->deliver = deliver;
	irq->cpu = -1;
	irq->work = IRQ_WORK_INIT_HARD(sim_irq_work);
	INIT_CSD(&irq->csd, sim_irq_csd, irq);
}

/**
 * sim_irq_raise() - raise an interrupt
 * @irq: the vector
 *
 * Context: any but NMI.
 */
void sim_irq_raise(struct sim_irq *irq)
{
	int cpu = READ_ONCE(irq->cpu);
	int here;

	if (test_and_set_bit(0, &irq->pending))
		return;
	atomic_inc(&irq->in_flight);
	here = get_cpu();
	if (cpu < 0 || !cpu_online(cpu)) {
		cpu = cpumask_next(here, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
	}
	/* A CPU that goes offline, or one that has not finished with the last. */
	if (cpu == here || smp_call_function_single_async(cpu, &irq->csd))
		irq_work_queue(&irq->work);
	put_cpu();
}

/**
 * sim_irq_storm() - raise an interrupt again and again
 * @irq: the vector
 * @count: how often, each after the last has been taken
 *
 * Context: any but NMI.
 */
void sim_irq_storm(struct sim_irq *irq, unsigned int count)
{
	if (!count)
		return;
	atomic_add(count - 1, &irq->storm);
	sim_irq_raise(irq);
}

/* Waits until no interrupt is under way; false if after a minute one is. A storm ends here. */
static bool sim_irq_wait(struct sim_irq *irq)
{
	unsigned long end = jiffies + msecs_to_jiffies(SIM_IRQ_WAIT_MS);

	atomic_set(&irq->storm, 0);
	while (atomic_read_acquire(&irq->in_flight)) {
		if (time_after(jiffies, end))
			return false;
		usleep_range(20, 100);
	}
	return true;
}

/**
 * sim_quiet() - wait until none of a device's interrupts is under way
 * @sim: the device
 * @irq: its vector; nobody raises it any more
 *
 * It is the driver that does not let one come to its end.
 *
 * Context: process context; the device's lock may be held.
 */
void sim_quiet(struct sim_device *sim, struct sim_irq *irq)
{
	if (!sim_irq_wait(irq))
		sim_violation(sim, "an interrupt is not over after a minute");
}

/**
 * sim_irq_exit() - the vector's memory is about to go
 * @irq: the vector
 *
 * Context: process context.
 * Return: false if it must stay, as an interrupt is under way.
 */
bool sim_irq_exit(struct sim_irq *irq)
{
	if (!sim_irq_wait(irq))
		return false;
	irq_work_sync(&irq->work);
	return true;
}
