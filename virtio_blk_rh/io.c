// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: from the block layer into the ring and back, and the few commands
 * that the driver sends itself. Never resets the device and never decides that
 * it is lost; recover.c does.
 */
#include <vrh/log.h>
#include <linux/delay.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"

#include "virtio_blk_rh.h"

/*
 * Requests taken off a ring before the lock is dropped to complete them: enough
 * that the lock's cost disappears, and 256 bytes of stack.
 */
#define VBLK_DRAIN_BATCH	32

/* How often a command looks for a free tag: as often as the clock of slow kernels ticks. */
#define VBLK_TAG_POLL_MS	10

static_assert(sizeof(struct virtio_blk_outhdr) == 16);
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16);

/**
 * vblk_alloc_queues() - make the request queues, still without virtqueues
 * @vblk: device whose limits are known
 *
 * Return: 0 or -ENOMEM.
 */
int vblk_alloc_queues(struct vblk *vblk)
{
	unsigned int i;

	vblk->vqs = kcalloc(vblk->limits.nr_queues, sizeof(*vblk->vqs), GFP_KERNEL);
	if (!vblk->vqs)
		return -ENOMEM;
	vblk->nr_vqs = vblk->limits.nr_queues;

	for (i = 0; i < vblk->nr_vqs; i++) {
		spin_lock_init(&vblk->vqs[i].lock);
		snprintf(vblk->vqs[i].name, sizeof(vblk->vqs[i].name), "req.%u", i);
	}
	return 0;
}

/**
 * vblk_free_queues() - undo vblk_alloc_queues()
 * @vblk: device without virtqueues and without requests
 */
void vblk_free_queues(struct vblk *vblk)
{
	unsigned int i;

	for (i = 0; i < vblk->nr_vqs; i++)
		kvfree(vblk->vqs[i].sg);
	kfree(vblk->vqs);
}

/* Requests into the ring */

static blk_status_t vblk_status(u8 status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return BLK_STS_OK;
	case VIRTIO_BLK_S_UNSUPP:
		return BLK_STS_NOTSUPP;
	default:
		return BLK_STS_IOERR;
	}
}

static void vblk_set_range(struct virtio_blk_discard_write_zeroes *range, u64 sector, u32 sectors,
			   u32 flags)
{
	range->sector = cpu_to_le64(sector);
	range->num_sectors = cpu_to_le32(sectors);
	range->flags = cpu_to_le32(flags);
}

/*
 * A discard that the block layer merged from several: a range for each. It may
 * have merged more than the device takes (see vblk_queue_limits()). The surplus
 * is left out: a discard is a hint, and an error would cost a file system its
 * trust in all of them.
 */
static blk_status_t vblk_prepare_ranges(struct vblk *vblk, struct request *req,
					struct vblk_req *vr)
{
	unsigned int ranges = min_t(unsigned int, blk_rq_nr_discard_segments(req),
				    vblk->limits.max_discard_ranges);
	struct virtio_blk_discard_write_zeroes *range;
	unsigned int n = 0;
	struct bio *bio;

	range = kmalloc_array(ranges, sizeof(*range), GFP_ATOMIC);
	if (!range)
		return BLK_STS_RESOURCE;

	__rq_for_each_bio(bio, req) {
		if (n == ranges)
			break;
		vblk_set_range(&range[n++], bio->bi_iter.bi_sector, bio_sectors(bio), 0);
	}
	vr->extra = range;
	vr->extra_len = n * sizeof(*range);
	vr->extra_owned = true;
	return BLK_STS_OK;
}

static void vblk_prepare_range(struct request *req, struct vblk_req *vr, u32 flags)
{
	vblk_set_range(&vr->range, blk_rq_pos(req), blk_rq_sectors(req), flags);
	vr->extra = &vr->range;
	vr->extra_len = sizeof(vr->range);
}

/* Header and extra data; what is done here is undone by vblk_unprepare(). */
static blk_status_t vblk_prepare(struct vblk *vblk, struct request *req)
{
	struct vblk_req *vr = blk_mq_rq_to_pdu(req);
	blk_status_t ret = BLK_STS_OK;
	u64 sector = 0;
	u32 type;

	/* A device that forgets the status byte has failed the request. */
	vr->status = VIRTIO_BLK_S_IOERR;
	vr->extra_owned = false;

	if (blk_rq_is_passthrough(req))
		return BLK_STS_OK;	/* vblk_command() has done the rest */
	vr->extra_len = 0;

	switch (req_op(req)) {
	case REQ_OP_READ:
		type = VIRTIO_BLK_T_IN;
		sector = blk_rq_pos(req);
		break;
	case REQ_OP_WRITE:
		type = VIRTIO_BLK_T_OUT;
		sector = blk_rq_pos(req);
		break;
	case REQ_OP_FLUSH:
		type = VIRTIO_BLK_T_FLUSH;
		break;
	case REQ_OP_DISCARD:
		type = VIRTIO_BLK_T_DISCARD;
		/* With one range allowed, the block layer merges only neighbours. */
		if (blk_rq_nr_discard_segments(req) > 1 && queue_max_discard_segments(req->q) > 1)
			ret = vblk_prepare_ranges(vblk, req, vr);
		else
			vblk_prepare_range(req, vr, 0);
		break;
	case REQ_OP_WRITE_ZEROES:
		type = VIRTIO_BLK_T_WRITE_ZEROES;
		vblk_prepare_range(req, vr, req->cmd_flags & REQ_NOUNMAP ? 0 :
				   VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
		break;
	default:
		return BLK_STS_NOTSUPP;
	}

	vr->hdr.type = cpu_to_virtio32(vblk->vdev, type);
	vr->hdr.ioprio = 0;	/* "reserved" since VIRTIO 1.0 */
	vr->hdr.sector = cpu_to_virtio64(vblk->vdev, sector);
	return ret;
}

static void vblk_unprepare(struct vblk_req *vr)
{
	if (vr->extra_owned)
		kfree(vr->extra);
	vr->extra_owned = false;
}

/*
 * Describe the data of a request in vq->sg. The array is free again as soon as
 * the ring has taken it, so the queue's lock is all it needs.
 *
 * Return: number of segments, 0 if there is no data, or -EIO.
 */
static int vblk_map_data(struct vblk_vq *vq, struct request *req, struct vblk_req *vr)
{
	lockdep_assert_held(&vq->lock);

	if (vr->extra_len) {
		sg_init_one(vq->sg, vr->extra, vr->extra_len);
		return 1;
	}
	if (!blk_rq_nr_phys_segments(req))
		return 0;
	if (unlikely(blk_rq_nr_phys_segments(req) > vq->max_sg))
		return -EIO;
	return blk_rq_map_sg(req, vq->sg);
}

static int vblk_add(struct vblk_vq *vq, struct request *req)
{
	struct vblk_req *vr = blk_mq_rq_to_pdu(req);
	struct scatterlist hdr, status, *sgs[3];
	unsigned int out = 0, in = 0;
	int segments;

	segments = vblk_map_data(vq, req, vr);
	if (unlikely(segments < 0))
		return segments;

	sg_init_one(&hdr, &vr->hdr, sizeof(vr->hdr));
	sgs[out++] = &hdr;
	if (segments && op_is_write(req_op(req)))
		sgs[out++] = vq->sg;
	else if (segments)
		sgs[out + in++] = vq->sg;
	sg_init_one(&status, &vr->status, sizeof(vr->status));
	sgs[out + in++] = &status;

	return virtqueue_add_sgs(vq->vq, sgs, out, in, vr, GFP_ATOMIC);
}

/*
 * The ring did not take the request. A full ring wakes the hardware queue when
 * something comes back; if nothing is in flight nothing will, and the block
 * layer must try again by itself.
 */
static blk_status_t vblk_not_added(struct vblk_vq *vq, struct blk_mq_hw_ctx *hctx, int err)
{
	lockdep_assert_held(&vq->lock);

	switch (err) {
	case -ENOSPC:
		if (!vq->inflight)
			return BLK_STS_RESOURCE;
		vq->starved = true;
		blk_mq_stop_hw_queue(hctx);
		return BLK_STS_DEV_RESOURCE;
	case -ENOMEM:
		return BLK_STS_RESOURCE;
	default:
		return BLK_STS_IOERR;
	}
}

static void vblk_notify(struct vblk *vblk, struct vblk_vq *vq)
{
	if (unlikely(!virtqueue_notify(vq->vq)))
		vblk_suspect(vblk);
}

static blk_status_t vblk_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct vblk *vblk = hctx->queue->queuedata;
	struct vblk_vq *vq = hctx->driver_data;
	struct request *req = bd->rq;
	blk_status_t ret;
	unsigned long flags;
	bool kick;
	int err;

	if (unlikely(READ_ONCE(vblk->state) != VBLK_LIVE))
		return BLK_STS_IOERR;

	ret = vblk_prepare(vblk, req);
	if (unlikely(ret))
		return ret;
	blk_mq_start_request(req);

	spin_lock_irqsave(&vq->lock, flags);
	err = vblk_add(vq, req);
	if (likely(!err))
		vq->inflight++;
	else
		ret = vblk_not_added(vq, hctx, err);
	/* What was added before a failure must not wait for a kick either. */
	kick = (bd->last || err) && virtqueue_kick_prepare(vq->vq);
	spin_unlock_irqrestore(&vq->lock, flags);

	if (kick)
		vblk_notify(vblk, vq);
	if (unlikely(err)) {
		vblk_unprepare(blk_mq_rq_to_pdu(req));
		if (ret == BLK_STS_IOERR)
			vblk_suspect(vblk);
	}
	return ret;
}

static void vblk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct vblk *vblk = hctx->queue->queuedata;
	struct vblk_vq *vq = hctx->driver_data;
	unsigned long flags;
	bool kick;

	/* Without virtqueues nothing was added either. */
	if (READ_ONCE(vblk->state) != VBLK_LIVE)
		return;

	spin_lock_irqsave(&vq->lock, flags);
	kick = virtqueue_kick_prepare(vq->vq);
	spin_unlock_irqrestore(&vq->lock, flags);

	if (kick)
		vblk_notify(vblk, vq);
}

/* Requests out of the ring */

/**
 * vblk_drain() - complete what the device has used
 * @vq: queue; its virtqueue exists
 *
 * Completions run outside the lock: they wake tasks and submit more, and
 * submitters on other CPUs need not spin for that.
 *
 * Context: any, interrupts too.
 */
void vblk_drain(struct vblk_vq *vq)
{
	struct vblk_req *done[VBLK_DRAIN_BATCH];
	unsigned int i, n, len;
	unsigned long flags;
	bool more, starved;

	do {
		n = 0;
		spin_lock_irqsave(&vq->lock, flags);
		virtqueue_disable_cb(vq->vq);
		while (n < VBLK_DRAIN_BATCH && (done[n] = virtqueue_get_buf(vq->vq, &len)))
			n++;
		vq->inflight -= n;
		vq->done += n;
		more = n == VBLK_DRAIN_BATCH || !virtqueue_enable_cb(vq->vq);
		/* Only entries that came free can help a queue that found none. */
		starved = vq->starved && n;
		if (starved)
			vq->starved = false;
		spin_unlock_irqrestore(&vq->lock, flags);

		for (i = 0; i < n; i++)
			blk_mq_complete_request(blk_mq_rq_from_pdu(done[i]));
		if (starved)
			blk_mq_start_stopped_hw_queue(vq->hctx, true);
	} while (more);
}

/**
 * vblk_vq_done() - the device has used buffers
 * @_vq: virtqueue
 *
 * Interrupts are on as soon as the transport has made the virtqueue, before
 * probe or restore know it. No request of ours can be in it then.
 *
 * Context: interrupt.
 */
void vblk_vq_done(struct virtqueue *_vq)
{
	struct vblk *vblk = _vq->vdev->priv;

	if (unlikely(READ_ONCE(vblk->state) != VBLK_LIVE))
		return;
	vblk_drain(&vblk->vqs[_vq->index]);

	/* The core has refused what the device wrote into the ring. */
	if (unlikely(virtqueue_is_broken(_vq)))
		vblk_suspect(vblk);
}

static void vblk_complete_rq(struct request *req)
{
	struct vblk_req *vr = blk_mq_rq_to_pdu(req);
	u8 status = READ_ONCE(vr->status);

	vblk_unprepare(vr);
	blk_mq_end_request(req, vblk_status(status));
}

static int vblk_init_hctx(struct blk_mq_hw_ctx *hctx, void *data, unsigned int index)
{
	struct vblk *vblk = data;

	hctx->driver_data = &vblk->vqs[index];
	vblk->vqs[index].hctx = hctx;
	return 0;
}

static void vblk_map_queues(struct blk_mq_tag_set *set)
{
	struct vblk *vblk = set->driver_data;

	blk_mq_map_hw_queues(&set->map[HCTX_TYPE_DEFAULT], &vblk->vdev->dev, 0);
}

const struct blk_mq_ops vblk_mq_ops = {
	.queue_rq = vblk_queue_rq,
	.commit_rqs = vblk_commit_rqs,
	.complete = vblk_complete_rq,
	.init_hctx = vblk_init_hctx,
	.map_queues = vblk_map_queues,
};

/* Commands that the driver sends itself */

/**
 * struct vblk_cmd - a command and its answer
 * @refs: the caller, and the request while it is in flight: the device may
 *	write here long after the caller has given up
 * @done: completed when @status is valid
 * @status: how it ended
 * @data: what the device writes; nothing else may share its cache lines
 */
struct vblk_cmd {
	refcount_t refs;
	struct completion done;
	blk_status_t status;
	char data[VIRTIO_BLK_ID_BYTES] __aligned(ARCH_DMA_MINALIGN);
};

static void vblk_cmd_put(struct vblk_cmd *cmd)
{
	if (refcount_dec_and_test(&cmd->refs))
		kfree(cmd);
}

static VRH_RQ_END_IO(vblk_cmd_end)
{
	struct vblk_cmd *cmd = req->end_io_data;

	cmd->status = status;
	complete(&cmd->done);
	vblk_cmd_put(cmd);
	return RQ_END_IO_FREE;
}

/* Get a tag in bounded time: the block layer would wait as long as the host does. */
static struct request *vblk_cmd_request(struct vblk *vblk, blk_opf_t op, unsigned long deadline)
{
	struct request *req;

	for (;;) {
		if (READ_ONCE(vblk->removing) || READ_ONCE(vblk->state) == VBLK_DEAD)
			return ERR_PTR(-ENODEV);
		req = blk_mq_alloc_request(vblk->disk->queue, op, BLK_MQ_REQ_NOWAIT);
		if (!IS_ERR(req) || PTR_ERR(req) != -EAGAIN)
			return req;
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		if (time_after(jiffies, deadline))
			return ERR_PTR(-ETIMEDOUT);
		msleep(VBLK_TAG_POLL_MS);
	}
}

/*
 * Send a command and wait for its end, but not for ever: -ETIMEDOUT leaves it
 * with the device and its memory with it.
 */
static int vblk_command(struct vblk *vblk, blk_opf_t op, u32 type, unsigned int len,
			struct vblk_cmd *cmd)
{
	unsigned long deadline = jiffies + VBLK_HOST_TIMEOUT_S * HZ;
	struct request *req;
	struct vblk_req *vr;
	long left;

	req = vblk_cmd_request(vblk, op, deadline);
	if (IS_ERR(req))
		return PTR_ERR(req);

	vr = blk_mq_rq_to_pdu(req);
	vr->hdr.type = cpu_to_virtio32(vblk->vdev, type);
	vr->hdr.ioprio = 0;
	vr->hdr.sector = 0;
	vr->extra = cmd->data;
	vr->extra_len = len;

	init_completion(&cmd->done);
	refcount_inc(&cmd->refs);
	req->end_io = vblk_cmd_end;
	req->end_io_data = cmd;
	blk_execute_rq_nowait(req, false);

	left = wait_for_completion_killable_timeout(&cmd->done, VBLK_HOST_TIMEOUT_S * HZ);
	if (left < 0)
		return -EINTR;
	if (!left)
		return -ETIMEDOUT;
	/* An error from the device says something about the command, this does not. */
	if (cmd->status && READ_ONCE(vblk->state) == VBLK_DEAD)
		return -ENODEV;
	return blk_status_to_errno(cmd->status);
}

static struct vblk_cmd *vblk_cmd_alloc(void)
{
	struct vblk_cmd *cmd = kzalloc(sizeof(*cmd), GFP_KERNEL);

	if (cmd)
		refcount_set(&cmd->refs, 1);
	return cmd;
}

/**
 * vblk_get_id() - ask the device for its serial (VIRTIO 1.3, 5.2.6, GET_ID)
 * @vblk: disk
 * @id: receives VIRTIO_BLK_ID_BYTES bytes; a NUL ends them early
 *
 * Context: may sleep, for two VBLK_HOST_TIMEOUT_S at most.
 * Return: 0, -EIO or -EOPNOTSUPP if the device says so, -ETIMEDOUT, -EINTR
 * after a fatal signal, -ENODEV while the disk goes, -ENOMEM.
 */
int vblk_get_id(struct vblk *vblk, char *id)
{
	struct vblk_cmd *cmd = vblk_cmd_alloc();
	int err;

	if (!cmd)
		return -ENOMEM;
	err = vblk_command(vblk, REQ_OP_DRV_IN, VIRTIO_BLK_T_GET_ID, sizeof(cmd->data), cmd);
	if (!err)
		memcpy(id, cmd->data, sizeof(cmd->data));
	vblk_cmd_put(cmd);
	return err;
}

/**
 * vblk_flush_cache() - have the device write out its cache
 * @vblk: disk
 *
 * Context: may sleep, for two VBLK_HOST_TIMEOUT_S at most.
 * Return: see vblk_get_id().
 */
int vblk_flush_cache(struct vblk *vblk)
{
	struct vblk_cmd *cmd = vblk_cmd_alloc();
	int err;

	if (!cmd)
		return -ENOMEM;
	err = vblk_command(vblk, REQ_OP_DRV_OUT, VIRTIO_BLK_T_FLUSH, 0, cmd);
	vblk_cmd_put(cmd);
	return err;
}

/* Standstill */

/**
 * vblk_hold_io() - wait until no request is on its way, and keep it so
 * @vblk: disk
 *
 * Pairs with vblk_release_io() if it succeeds.
 *
 * Context: may sleep, for VBLK_HOST_TIMEOUT_S at most.
 * Return: 0, or -ETIMEDOUT: the host did not finish in time, I/O goes on.
 */
int vblk_hold_io(struct vblk *vblk)
{
	struct request_queue *q = vblk->disk->queue;

	blk_freeze_queue_start_non_owner(q);
	if (blk_mq_freeze_queue_wait_timeout(q, VBLK_HOST_TIMEOUT_S * HZ) > 0)
		return 0;
	blk_mq_unfreeze_queue_non_owner(q);
	return -ETIMEDOUT;
}

/**
 * vblk_release_io() - let requests in again
 * @vblk: disk, held by vblk_hold_io()
 */
void vblk_release_io(struct vblk *vblk)
{
	blk_mq_unfreeze_queue_non_owner(vblk->disk->queue);
}
